package identity_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/certs"
	"github.com/waxwing-xds/waxwing/internal/golden"
	"github.com/waxwing-xds/waxwing/internal/identity"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// opened is a stream of a node with the certificate that is made for it now, which is served.
func (p *port) opened(id string) (end func() error) {
	p.t.Helper()
	return p.openedBy(id, p.as(id))
}

// openedWith is the same with another certificate, where the server's is not looked at.
func (p *port) openedWith(id string, c tls.Certificate) (end func() error) {
	p.t.Helper()
	return p.openedBy(id, p.dial(presenting(c)))
}

func (p *port) openedBy(id string, conn *grpc.ClientConn) (end func() error) {
	p.t.Helper()
	stream, message, err := services["delta"](p.ctx, conn)
	if err == nil {
		err = stream.SendMsg(message(node(id)))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	if e := p.next(); e.Kind != xds.Connected || e.ID() != id {
		p.t.Fatalf("event %+v", e)
	}
	return func() error { return p.end(stream) }
}

// presented is the certificate that the port has for a new connection.
func (p *port) presented() string {
	conn, err := tls.Dial("tcp", p.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func (p *port) problem(use string) string {
	for _, c := range p.status().Certificates {
		if c.Use == use {
			return c.Problem
		}
	}
	p.t.Fatalf("nothing is in use for %s", use)
	return ""
}

func save(t *testing.T, path string, data []byte) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// Certificates are replaced without ending a stream, server, client and CA in turn.
func TestRotation(t *testing.T) {
	p := guarded(t, "", "edge-1")
	ended := make(chan error, 1)
	end := p.opened("edge-1")
	go func() { ended <- end() }()
	server := p.presented()
	p.make(certs.Options{Nodes: []string{"edge-1"}, Rotate: certs.Rotation{Server: true}})
	p.eventually("the new certificate is served", func() bool { return p.presented() != server })
	p.make(certs.Options{Nodes: []string{"edge-1"}, Rotate: certs.Rotation{CA: true}})
	p.eventually("both CAs are in use", func() bool { return len(p.status().Certificates) == 3 })
	p.make(certs.Options{Nodes: []string{"edge-1"}, Rotate: certs.Rotation{Proxies: true}})
	p.opened("edge-1") // by the new CA, beside that by the old one
	select {
	case err := <-ended:
		t.Errorf("a stream was ended: %v", err)
	default:
	}
	for reason, n := range p.status().Refused {
		if n > 0 && reason != string(identity.NoCertificate) { // presented has none
			t.Errorf("%d were refused as %s", n, reason)
		}
	}
}

// Who was issued by a CA that is given up loses all streams, and those of another go on.
func TestRevoked(t *testing.T) {
	p := guarded(t, "", "edge-1", "edge-2")
	end := p.opened("edge-1")
	p.make(certs.Options{Nodes: []string{"edge-2"}, Rotate: certs.Rotation{CA: true}})
	p.eventually("both CAs are in use", func() bool { return len(p.status().Certificates) == 3 })
	p.make(certs.Options{Nodes: []string{"edge-2"}, Rotate: certs.Rotation{Proxies: true}})
	other := make(chan error, 1)
	endOther := p.opened("edge-2")
	go func() { other <- endOther() }()
	begun := time.Now()
	p.make(certs.Options{Nodes: []string{"edge-2"}, RetireCA: true})
	if err := end(); status.Code(err) != codes.Unavailable && status.Code(err) != codes.PermissionDenied {
		t.Errorf("the stream ended with %v", err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v, want at most 10 s", took)
	}
	if e := p.next(); e.Kind != xds.Disconnected || e.ID() != "edge-1" {
		t.Errorf("event %+v", e)
	}
	p.eventually("it is counted", func() bool { return p.refused(identity.Revoked) == 1 })
	select {
	case err := <-other:
		t.Errorf("the stream of another was ended: %v", err)
	default:
	}
}

// So does who expires while connected.
func TestExpires(t *testing.T) {
	p := guarded(t, "", "edge-1")
	end := p.opened("edge-1")
	p.ahead.Store(int64(91 * 24 * time.Hour))
	if err := end(); status.Code(err) != codes.Unavailable && status.Code(err) != codes.PermissionDenied {
		t.Errorf("the stream ended with %v", err)
	}
	p.eventually("it is counted", func() bool { return p.refused(identity.Expired) == 1 })
}

// What is broken on disk replaces nothing, is said, and is forgotten when it is mended.
func TestBrokenReplacement(t *testing.T) {
	p := guarded(t, "", "edge-1")
	for _, file := range []string{certs.CertFile, certs.KeyFile, certs.CAFile} { // plain files, to be broken one by one
		path := filepath.Join(certs.ServerDir(p.dir), file)
		save(t, path, []byte(golden.Read(t, path)))
	}
	files := p.files()
	good := map[string][]byte{}
	for _, path := range []string{files.Cert, files.Key, files.ClientCA} {
		good[path] = []byte(golden.Read(t, path))
	}
	now := time.Now()
	late := p.issue(now.Add(-2*time.Hour), now.Add(-time.Hour))
	early := p.issue(now.Add(time.Hour), now.Add(2*time.Hour))
	other := p.issue(now.Add(-time.Hour), now.Add(time.Hour))
	server := p.presented()
	for _, c := range []struct {
		use, path string
		data      []byte
		want      string
	}{
		{"server", files.Cert, nil, "there is no certificate in it"},
		{"server", files.Cert, good[files.Cert][:len(good[files.Cert])/2], "1 of 1 parts are not whole"},
		{"server", files.Cert, append(append([]byte{}, good[files.Cert]...), good[files.Cert][:200]...), "1 of 2 parts are not whole"},
		{"server", files.Cert, other.Cert, "private key does not match public key"},
		{"server", files.Key, other.Key, "private key does not match public key"},
		{"server", files.Key, good[files.Key][:100], "the certificate and its key: "},
		{"server", files.Cert, late.Cert, ""},
		{"client-ca", files.ClientCA, []byte("none"), "there is no certificate in it"},
		{"client-ca", files.ClientCA, good[files.ClientCA][:300], "1 of 1 parts are not whole"},
		{"client-ca", files.ClientCA, late.Cert, "has expired"},
		{"client-ca", files.ClientCA, early.Cert, "is not valid yet"},
	} {
		save(t, c.path, c.data)
		p.eventually("it is said: "+c.want, func() bool { return p.problem(c.use) != "" && strings.Contains(p.problem(c.use), c.want) })
		if p.presented() != server {
			t.Errorf("%s: the port has another certificate", c.want)
		}
		p.opened("edge-1")
		save(t, c.path, good[c.path])
		p.eventually("it is forgotten", func() bool { return p.problem(c.use) == "" })
		for _, e := range p.Events() {
			if e.Kind == xds.Disconnected {
				t.Errorf("%s: a stream was ended", c.want)
			}
		}
	}
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	p.eventually("it is said that it is gone", func() bool { return strings.Contains(p.problem("server"), "no such file") })
	save(t, files.Key, good[files.Key])
	p.eventually("it is back", func() bool { return p.problem("server") == "" })
	// What is saved too early is taken when its time has come.
	save(t, files.Cert, early.Cert)
	save(t, files.Key, early.Key)
	p.eventually("it is early", func() bool { return strings.Contains(p.problem("server"), "is not valid yet") })
	p.ahead.Store(int64(90 * time.Minute))
	p.eventually("it is served", func() bool { return p.presented() != server && p.problem("server") == "" })
}

func (p *port) issue(from, until time.Time) certs.PEM {
	p.t.Helper()
	made, err := p.authority().Issue(certs.Request{DNS: []string{"localhost"}, Server: true, From: from, Until: until})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// What is in the last tenth of its life is said to be expiring.
func TestExpiring(t *testing.T) {
	p := guarded(t, "", "edge-1")
	server := func() api.Certificate {
		for _, c := range p.status().Certificates {
			if c.Use == "server" {
				return c
			}
		}
		return api.Certificate{}
	}
	for days, want := range map[int]bool{0: false, 80: false, 82: true, 100: true} {
		p.ahead.Store(int64(days) * int64(24*time.Hour))
		if got := server().Expiring; got != want {
			t.Errorf("after %d of 90 days: expiring %v", days, got)
		}
	}
}
