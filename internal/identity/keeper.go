package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// Files are where the xDS port's certificates are, in PEM.
type Files struct {
	Cert     string // the server's, and what leads from it to an authority
	Key      string
	ClientCA string // the authorities of the proxies' certificates
}

// The uses of what a Keeper keeps, which are labels of metrics.
const (
	useServer   = "server"
	useClientCA = "client-ca"
)

// A Keeper has what is in use of the files, and takes them anew when they change. What is
// broken does not replace what works.
type Keeper struct {
	log        *slog.Logger
	files      Files
	minVersion uint16
	port       string // which it is of, for people
	optional   bool   // who connects may have no certificate
	protocols  []string
	now        func() time.Time
	spiffe     *workloadapi.Client // in place of files, or nil

	current atomic.Pointer[material]
	changed chan struct{} // has a token when that was replaced

	mu       sync.Mutex
	texts    map[string][]byte // as they are on disk, by path
	unread   map[string]error  // those that can't be read
	problems map[string]*problem
}

// A problem is why what is on disk is not in use.
type problem struct {
	since time.Time
	err   error
}

// material is what is in use. It is not written to once made.
type material struct {
	server *pair
	client *bundle
	config *tls.Config
}

// NewKeeper reads the files for the first time: what is broken then is an error.
// minVersion is tls.VersionTLS13, or tls.VersionTLS12.
func NewKeeper(log *slog.Logger, files Files, minVersion uint16, now func() time.Time) (*Keeper, error) {
	k := newKeeper(log, files, minVersion, now)
	return k, k.begin()
}

// begin reads the files for the first time.
func (k *Keeper) begin() error {
	for _, path := range k.paths() {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("TLS of %s: %w", k.port, err)
		}
		k.texts[path] = text
	}
	server, err := k.readServer()
	if err != nil {
		return fmt.Errorf("TLS of %s: %s and %s: %w", k.port, k.files.Cert, k.files.Key, err)
	}
	client, err := k.readClientCA()
	if err != nil {
		return fmt.Errorf("TLS of %s: %s: %w", k.port, k.files.ClientCA, err)
	}
	k.use(server, client)
	return nil
}

func (k *Keeper) paths() []string {
	return slices.DeleteFunc([]string{k.files.Cert, k.files.Key, k.files.ClientCA}, func(path string) bool { return path == "" })
}

func newKeeper(log *slog.Logger, files Files, minVersion uint16, now func() time.Time) *Keeper {
	return &Keeper{
		log: log, files: files, minVersion: minVersion, now: now, port: "the xDS port", protocols: []string{"h2"}, changed: make(chan struct{}, 1),
		texts: map[string][]byte{}, unread: map[string]error{}, problems: map[string]*problem{},
	}
}

// Run takes the files anew when they change, until the context ends.
func (k *Keeper) Run(ctx context.Context, settings watch.Settings) error {
	if k.spiffe != nil {
		return k.follow(ctx)
	}
	w, err := watch.New(k.log, settings)
	if err != nil {
		return err
	}
	w.Watch(k.paths())
	return w.Run(ctx, k.take)
}

// take takes what has changed on disk.
func (k *Keeper) take(changes []watch.Change) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range changes {
		switch {
		case c.Draft || c.Same:
		case c.Err != nil:
			k.unread[c.Path] = c.Err
		default:
			delete(k.unread, c.Path)
			k.texts[c.Path] = c.Data
		}
	}
	k.renew()
}

// again tries what was on disk too early once more.
func (k *Keeper) again() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.problems {
		if errors.Is(p.err, errNotYet) && k.spiffe == nil {
			k.renew()
			return
		}
	}
}

// renew replaces what is in use by what is on disk, each for itself, where that is good. Called
// with the lock.
func (k *Keeper) renew() {
	server, serverErr := k.readServer()
	client, clientErr := k.readClientCA()
	k.replace(server, serverErr, client, clientErr)
}

// replace has what is good of a server's certificate and of authorities used from now on. Called
// with the lock.
func (k *Keeper) replace(server *pair, serverErr error, client *bundle, clientErr error) {
	now := k.current.Load()
	if !k.judge(useServer, k.files.Cert, serverErr) || same(server.chain, now.server.chain) {
		server = now.server
	} else {
		k.log.Info(k.port+" has a new certificate", "file", k.files.Cert, "of", nameOf(server.chain[0]), "until", ends(server.chain))
	}
	if !k.judge(useClientCA, k.files.ClientCA, clientErr) || same(client.roots, now.client.roots) {
		client = now.client // who was verified by these still is
	} else {
		k.log.Info(k.port+" has new authorities for its clients' certificates", "file", k.files.ClientCA, "authorities", len(client.roots))
	}
	if server != now.server || client != now.client {
		k.use(server, client)
	}
}

// judge notes what is wrong with what is on disk for a use, and whether it is good. Called with
// the lock.
func (k *Keeper) judge(use, file string, err error) bool {
	if err == nil {
		delete(k.problems, use)
		return true
	}
	if p := k.problems[use]; p == nil || p.err.Error() != err.Error() {
		k.log.Error("what there is now for "+k.port+" can't be used: what was there before goes on", "use", use, "file", file, "error", err)
		k.problems[use] = &problem{k.now(), err}
	}
	return false
}

// use has what comes from now on served with these.
func (k *Keeper) use(server *pair, client *bundle) {
	m := &material{server: server, client: client}
	m.config = &tls.Config{
		MinVersion: k.minVersion, Certificates: []tls.Certificate{server.Certificate},
		ClientAuth: k.clientAuth(), ClientCAs: m.client.pool, Time: k.now,
		// A session that is resumed would bring back who was verified by authorities of before.
		SessionTicketsDisabled: true,
		NextProtos:             k.protocols,
	}
	k.current.Store(m)
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// config is the TLS of the port: each connection gets what is in use when it comes.
func (k *Keeper) config() *tls.Config {
	return &tls.Config{
		MinVersion: k.minVersion, NextProtos: k.protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return k.current.Load().config, nil },
	}
}

func (k *Keeper) readServer() (*pair, error) {
	for _, path := range []string{k.files.Cert, k.files.Key} {
		if err := k.unread[path]; err != nil {
			return nil, err
		}
	}
	return newPair(k.texts[k.files.Cert], k.texts[k.files.Key], k.now())
}

func (k *Keeper) readClientCA() (*bundle, error) {
	if k.files.ClientCA == "" {
		return &bundle{}, nil
	}
	if err := k.unread[k.files.ClientCA]; err != nil {
		return nil, err
	}
	return newBundle(k.texts[k.files.ClientCA], k.now())
}

func same(a, b []*x509.Certificate) bool { return slices.EqualFunc(a, b, (*x509.Certificate).Equal) }

// certificates says what is in use, that first which expires first, and what is wrong with what
// is on disk.
func (k *Keeper) certificates() []api.Certificate {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.current.Load()
	out := []api.Certificate{k.describe(useServer, k.files.Cert, m.server.chain)}
	for _, c := range m.client.roots {
		out = append(out, k.describe(useClientCA, k.files.ClientCA, []*x509.Certificate{c}))
	}
	slices.SortStableFunc(out, func(a, b api.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	return out
}

// describe says what is in use for something, and until when: where it is several certificates,
// until the first of them expires. Called with the lock.
func (k *Keeper) describe(use, file string, chain []*x509.Certificate) api.Certificate {
	c := api.Certificate{Use: use, File: file, Name: nameOf(chain[0]), NotBefore: chain[0].NotBefore, NotAfter: ends(chain)}
	for _, link := range chain {
		if link.NotAfter.Equal(c.NotAfter) {
			c.NotBefore = link.NotBefore
		}
	}
	if left := c.NotAfter.Sub(k.now()); left <= c.NotAfter.Sub(c.NotBefore)/10 {
		c.Expiring = true
	}
	if p := k.problems[use]; p != nil {
		c.Problem, c.ProblemSince = p.err.Error(), p.since
	}
	return c
}
