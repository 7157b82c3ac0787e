package deliver

import (
	"log/slog"
	"maps"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// A composer makes what proxies are given of two revisions, once for all that are given the
// same: ten thousand share it. It is remembered by names, and holds only as long as these
// are of the same revisions: one may come anew with other checks, under the name it had.
type composer struct {
	log       *slog.Logger
	revisions Revisions
	space     string
	made      map[string]map[snapshot.Pair]composition // by the key of the fleet
	closings  map[snapshot.Ref]composition             // by the rejected revision, of that alone
}

// A composition is what was made, and of which revisions.
type composition struct{ live, shadow, made *snapshot.Snapshot }

func newComposer(log *slog.Logger, revisions Revisions, space string) composer {
	return composer{
		log: log, revisions: revisions, space: space,
		made: map[string]map[snapshot.Pair]composition{}, closings: map[snapshot.Ref]composition{},
	}
}

// compose is what a proxy is to be given, nil for nothing: it keeps what it has then.
func (c *composer) compose(fleet string, has snapshot.Pair) *snapshot.Snapshot {
	live, shadow := c.find(fleet, has.Live), c.find(fleet, has.Shadow)
	if live == nil && has.Live.ID != "" {
		return nil // it is not known what that was; without it, its listeners would go
	}
	if before, known := c.made[fleet][has]; known && before.live == live && before.shadow == shadow {
		return before.made
	}
	if c.made[fleet] == nil {
		c.made[fleet] = map[snapshot.Pair]composition{}
	}
	made := snapshot.Compose(live, shadow, c.space).As(known(has, shadow))
	c.made[fleet][has] = composition{live, shadow, made}
	return made
}

// known is a pair without the shadow, where that is not known any more.
func known(has snapshot.Pair, shadow *snapshot.Snapshot) snapshot.Pair {
	if shadow == nil {
		has.Shadow = snapshot.Ref{}
	}
	return has
}

// find finds one of the two.
func (c *composer) find(fleet string, name snapshot.Ref) *snapshot.Snapshot {
	if name.ID == "" {
		return nil
	}
	name = name.In(fleet)
	if of, closed := snapshot.IsClosed(name.ID); closed {
		return c.closed(snapshot.Ref{Fleet: name.Fleet, ID: of})
	}
	return c.revisions.Revision(name)
}

// closed is what proxies are given that have opened listeners for a rejected first revision;
// nil where it is not known any more what that was.
func (c *composer) closed(name snapshot.Ref) *snapshot.Snapshot {
	rejected, before := c.revisions.Revision(name), c.closings[name]
	if rejected == nil || before.live == rejected {
		return before.made
	}
	snap, err := snapshot.Closed(rejected)
	if err != nil {
		c.log.Error("listeners of a rejected revision stay as they are", "fleet", name.Fleet, "error", err)
		return nil
	}
	c.closings[name] = composition{live: rejected, made: snap}
	return snap
}

// forget lets go of what was made for a fleet.
func (c *composer) forget(fleet string) {
	delete(c.made, fleet)
	maps.DeleteFunc(c.closings, func(name snapshot.Ref, _ composition) bool { return name.Fleet == fleet })
}
