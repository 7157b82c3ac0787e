package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// A Guard lets through to the xDS port who proves to be allowed, for as long as that holds.
type Guard struct {
	keeper   *Keeper
	rules    Rules
	refusals refusals

	mu    sync.Mutex
	peers map[*Peer]bool // that are connected
}

// A Peer is who has connected.
type Peer struct {
	net.Conn

	raw   net.Conn // below TLS
	guard *Guard
	name  string
	chain []*x509.Certificate // as it was sent
	grant grant

	mu    sync.Mutex
	by    *bundle   // by which it was verified last
	until time.Time // to when that holds
}

// New makes a guard with the certificates of a keeper.
func New(log *slog.Logger, keeper *Keeper, rules Rules) *Guard {
	return &Guard{
		keeper: keeper, rules: rules, peers: map[*Peer]bool{},
		refusals: refusals{log: log, now: keeper.now, counts: map[Reason]int64{}, logged: map[Reason]time.Time{}, silent: map[Reason]int{}},
	}
}

// Options are what a gRPC server needs for it. Each of around is told of the connections that
// prove who they are.
func (g *Guard) Options(around ...func(credentials.TransportCredentials) credentials.TransportCredentials) []grpc.ServerOption {
	var creds credentials.TransportCredentials = &transport{credentials.NewTLS(g.keeper.config()), g}
	for _, wrap := range around {
		creds = wrap(creds)
	}
	return []grpc.ServerOption{
		grpc.Creds(creds),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.StreamInterceptor(g.stream),
		grpc.UnaryInterceptor(func(_ context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			return nil, status.Errorf(codes.PermissionDenied, "%s: nothing is known of who may ask this", info.FullMethod)
		}),
	}
}

// handshakeTime is how long a client may take to prove who it is.
const handshakeTime = 10 * time.Second

// transport is TLS that tells the guard who comes, and who does not get in.
type transport struct {
	credentials.TransportCredentials

	guard *Guard
}

// ServerHandshake implements credentials.TransportCredentials.
func (t *transport) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := t.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		t.guard.Refuse(reasonOf(err, t.guard.keeper.now()), "from", raw.RemoteAddr().String(), "error", err)
		return nil, nil, err
	}
	tlsInfo, ok := info.(credentials.TLSInfo)
	if !ok || len(tlsInfo.State.PeerCertificates) == 0 {
		return nil, nil, errors.Join(errors.New("nobody knows who this is"), conn.Close())
	}
	p := t.guard.admit(conn, raw, tlsInfo.State)
	return p, authInfo{tlsInfo, p}, nil
}

// Clone implements credentials.TransportCredentials.
func (t *transport) Clone() credentials.TransportCredentials {
	return &transport{t.TransportCredentials.Clone(), t.guard}
}

// authInfo is what a stream knows of its connection.
type authInfo struct {
	credentials.TLSInfo

	peer *Peer
}

// Client is who has connected, for what one client may have of the server.
func (a authInfo) Client() string { return "certificate " + shortened(a.peer.name) }

// CertificateName is what the peer is called by its certificate, for who serves it.
func (a authInfo) CertificateName() string { return a.peer.name }

func (g *Guard) admit(conn, raw net.Conn, state tls.ConnectionState) *Peer {
	leaf, client := state.PeerCertificates[0], g.keeper.current.Load().client
	p := &Peer{Conn: conn, raw: raw, guard: g, name: nameOf(leaf), chain: state.PeerCertificates, grant: g.rules.grant(leaf)}
	if until, ok := client.verified(state.VerifiedChains); ok {
		p.by, p.until = client, until
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peers[p] = true
	return p
}

// Close implements net.Conn.
func (p *Peer) Close() error {
	p.guard.forget(p)
	return p.Conn.Close()
}

func (g *Guard) forget(p *Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.peers, p)
}

// proves is nil while the peer's certificate holds: by the authorities that are in use now, at
// this time.
func (p *Peer) proves() error {
	client, now := p.guard.keeper.current.Load().client, p.guard.keeper.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == client && !now.After(p.until) {
		return nil
	}
	until, err := client.verify(p.chain, now)
	if err != nil {
		return err
	}
	p.by, p.until = client, until
	return nil
}

// Refuse counts a refusal, and logs it if that is not too often.
func (g *Guard) Refuse(reason Reason, detail ...any) { g.refusals.add(reason, detail...) }

// sweep is how often connections are looked at whose certificates may not hold any more.
const sweep = time.Second

// Run ends the connections of those whose certificate does not hold any more, with all their
// streams, until the context ends.
func (g *Guard) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweep)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.keeper.changed:
		case <-ticker.C:
			g.keeper.again()
		}
		g.endThose()
	}
}

func (g *Guard) endThose() {
	g.mu.Lock()
	peers := make([]*Peer, 0, len(g.peers))
	for p := range g.peers {
		peers = append(peers, p)
	}
	g.mu.Unlock()
	for _, p := range peers {
		if err := p.proves(); err != nil {
			g.Refuse(g.gone(err), "peer", p.name, "from", p.RemoteAddr().String(), "error", err, "ended", "its connection, with all its streams")
			g.forget(p)
			_ = p.raw.Close() // without TLS's farewell, for which it might not listen
		}
	}
}

// gone is why a certificate that has held does no more.
func (g *Guard) gone(err error) Reason {
	if reason := reasonOf(err, g.keeper.now()); reason == Expired {
		return reason
	}
	return Revoked
}

// Forbidden counts a proxy that would be of a fleet if its certificate let it.
func (g *Guard) Forbidden(node, fleet string) {
	if g != nil { // in plain text anyone may be of any
		g.Refuse(OtherFleet, "node", shortened(node), "fleet", fleet)
	}
}

// Port adds to what the status says of the xDS port.
func (g *Guard) Port(p *api.Port) {
	p.Security = api.SecurityMutualTLS
	p.Certificates = g.keeper.certificates()
	p.Refused = g.refusals.all()
}
