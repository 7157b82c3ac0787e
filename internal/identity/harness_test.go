package identity_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/certs"
	"github.com/waxwing-xds/waxwing/internal/identity"
	"github.com/waxwing-xds/waxwing/internal/watch"
	"github.com/waxwing-xds/waxwing/internal/xds"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// port is a server whose port is guarded, with the certificates of a folder.
type port struct {
	*xds.Server

	t       testing.TB
	ctx     context.Context
	dir     string
	address string
	guard   *identity.Guard
	ahead   atomic.Int64 // of the server's clock
}

// guarded serves, with certificates of the node ids, until the test ends.
func guarded(t testing.TB, rules string, nodes ...string) *port {
	t.Helper()
	p := &port{t: t, dir: t.TempDir()}
	p.make(certs.Options{Nodes: nodes})
	keeper, err := identity.NewKeeper(slog.New(slog.DiscardHandler), p.files(), tls.VersionTLS13, p.now)
	if err != nil {
		t.Fatal(err)
	}
	p.serve(rules, keeper)
	return p
}

// guardedBy is the same with a keeper of its own.
func guardedBy(t testing.TB, rules string, keeper *identity.Keeper) *port {
	t.Helper()
	p := &port{t: t}
	p.serve(rules, keeper)
	return p
}

func (p *port) serve(rules string, keeper *identity.Keeper) {
	t := p.t
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	parsed, err := identity.ParseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	p.Server, p.ctx, p.guard = xds.NewServer(log, xds.Limits{}), ctx, identity.New(log, keeper, parsed)
	g := grpc.NewServer(append(p.Options(), p.guard.Options()...)...)
	p.Register(g)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	done := make(chan error, 3)
	go func() { done <- g.Serve(l) }()
	go func() { done <- keeper.Run(ctx, watch.Settings{Quiet: 10 * time.Millisecond, Max: time.Second}) }()
	go func() { done <- p.guard.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		g.Stop()
		for range 3 {
			if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // the test was fast
				t.Error(err)
			}
		}
	})
}

func (p *port) now() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }

func (p *port) make(o certs.Options) {
	p.t.Helper()
	o.Dir, o.Servers, o.Now = p.dir, []string{"localhost"}, time.Now()
	if o.Days == 0 {
		o.Days = 90
	}
	if _, err := certs.Make(o); err != nil {
		p.t.Fatal(err)
	}
}

func (p *port) files() identity.Files {
	at := func(name string) string { return filepath.Join(certs.ServerDir(p.dir), name) }
	return identity.Files{Cert: at(certs.CertFile), Key: at(certs.KeyFile), ClientCA: at(certs.CAFile)}
}

// as is a connection with the certificate that was made for a node.
func (p *port) as(node string) *grpc.ClientConn {
	p.t.Helper()
	dir := certs.ProxyDir(p.dir, node)
	c, err := tls.LoadX509KeyPair(filepath.Join(dir, certs.CertFile), filepath.Join(dir, certs.KeyFile))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.with(&tls.Config{Certificates: []tls.Certificate{c}})
}

// with is a connection with a TLS configuration, which trusts the server.
func (p *port) with(config *tls.Config) *grpc.ClientConn {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, certs.CAFile))
	if err != nil {
		p.t.Fatal(err)
	}
	config.RootCAs, config.ServerName = x509.NewCertPool(), "localhost"
	config.RootCAs.AppendCertsFromPEM(text)
	return p.dial(credentials.NewTLS(config))
}

func (p *port) dial(c credentials.TransportCredentials) *grpc.ClientConn {
	p.t.Helper()
	conn, err := grpc.NewClient("passthrough:"+p.address, grpc.WithTransportCredentials(c))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	return conn
}

func (p *port) status() api.Port {
	var out api.Port
	p.guard.Port(&out)
	return out
}

// refused is how often somebody was, for a reason.
func (p *port) refused(reason identity.Reason) int64 { return p.status().Refused[string(reason)] }

// events takes what proxies did until there is nothing more for a moment.
func (p *port) next() xds.Event {
	p.t.Helper()
	select {
	case <-p.Ready():
		return p.Events()[0]
	case <-p.ctx.Done():
		p.t.Fatal("no event came")
	}
	return xds.Event{}
}

// silent fails if any proxy did anything.
func (p *port) silent() {
	p.t.Helper()
	if events := p.Events(); len(events) > 0 {
		p.t.Errorf("it has had an effect: %+v", events)
	}
}

func node(id string) *corev3.Node { return &corev3.Node{Id: id, Cluster: "edge"} }

// eventually asks until it is so.
func (p *port) eventually(what string, ok func() bool) {
	p.t.Helper()
	if !xdstest.Until(p.ctx, ok) {
		p.t.Fatalf("it never was so that %s", what)
	}
}

// authority is the CA of the port's certificates.
func (p *port) authority() *certs.Authority {
	p.t.Helper()
	a, err := certs.ReadAuthority(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

// fellow is a certificate for another node that one of a proxy has signed.
func (p *port) fellow() credentials.TransportCredentials {
	p.t.Helper()
	dir := certs.ProxyDir(p.dir, "edge-1")
	by, err := tls.LoadX509KeyPair(filepath.Join(dir, certs.CertFile), filepath.Join(dir, certs.KeyFile))
	if err != nil {
		p.t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"edge-2"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Leaf, &key.PublicKey, by.PrivateKey)
	if err != nil {
		p.t.Fatal(err)
	}
	return presenting(tls.Certificate{Certificate: [][]byte{der, by.Certificate[0]}, PrivateKey: key})
}

// presenting presents a certificate whatever the server says it takes.
func presenting(c tls.Certificate) credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{
		InsecureSkipVerify:   true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil },
	})
}
