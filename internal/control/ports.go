package control

import (
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/deliver"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// What the loop needs of the outside: where the content of revisions comes from, where state
// is kept, and who delivers to proxies. Each of these is one thing in a server and a fake in
// the loop's tests (controltest); none of them has the loop wait, but for Store. The sandbox
// that tries filters is the source's: see build.Sandbox.

// A Source is where the content of fleets comes from: the *build.Files on disk. It says which
// fleets there are, and builds revisions of them, by itself.
type Source interface {
	// Ready has a token while there are Events to take.
	Ready() <-chan struct{}
	Events() []build.Event
	// Again builds a file once more, for somebody.
	Again(path, by string)
	// Serving says which revision the fleet of a file serves now, nil for none.
	Serving(path string, s *snapshot.Snapshot)
	// Unsettled reports whether there may be an event that is yet to come, of something
	// other than a build under way.
	Unsettled() bool
}

// A Store is where state is kept: a *store.Dir. Names have slashes for folders. The loop
// calls it beside itself, but when it starts, and to read again what it has let go of.
type Store interface {
	// Identity is a name that no other store has; see store.Dir.
	Identity(prefix string) (string, error)
	// Salt is a secret that no other store has; see store.Dir. Without one, "", the ranks of
	// proxies are known to who knows their node ids.
	Salt() (string, error)
	// Save writes a file as a whole or not at all.
	Save(name string, data []byte) error
	// Load reads a file; errors.Is(err, fs.ErrNotExist) when there is none.
	Load(name string) ([]byte, error)
	// List names the files of a folder, which may be missing.
	List(folder string) ([]string, error)
	// Remove removes a file, if it is there.
	Remove(name string) error
	// SetAside moves a damaged file out of the way, and returns its name there.
	SetAside(name string) (string, error)
}

// A Delivery is who gives proxies what they are to have, and hears what they say of it: a
// *deliver.Delivery of an *xds.Server. It is told in plain values what each is to have, finds
// the revisions by their names, and gives them as fast as the proxy takes it.
type Delivery interface {
	// Ready has a token while there are Events to take.
	Ready() <-chan struct{}
	Events() []xds.Event
	// Count names statistics that all proxies are to tell, beside those that they do.
	Count(names []string)

	// Give gives a proxy what it is to have, Unmatched says that no fleet has it, Left that
	// it has gone.
	Give(deliver.Order)
	Unmatched(node string)
	Left(node string)
	// Anew says that the proxies of a fleet, by its key, are to have something else now.
	Anew(fleet string)
	// VMs is how many Wasm VMs a worker of a proxy holds that has a pair of a fleet's
	// revisions; 0 where that is not known.
	VMs(fleet string, has snapshot.Pair) int
	// Retry, Forgive and SayAgain have a proxy tried again after trouble of its own, after
	// anything that it refused, and asked what it has without being sent anything.
	Retry(node string)
	Forgive(node string)
	SayAgain(node string)
	// Remember makes known a revision that proxies may have from before a restart.
	Remember(snap *snapshot.Snapshot)

	// Twins are the node ids that processes with different labels share, and whose the plain
	// name is; SetTwins takes what that was before a restart.
	Twins() map[string]string
	SetTwins(twins map[string]string)

	// HealthOpen is whether a proxy can be asked checks.
	HealthOpen(node string) bool

	// ProxiesOf are those of some node ids that are connected, in the order of the ids;
	// Stats are figures for operators.
	ProxiesOf(ids []string) []xds.ProxyStatus
	Stats() xds.Stats
}
