package certs

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func making(t *testing.T, change func(*Options)) []string {
	t.Helper()
	o := Options{Dir: dirOf(t), Servers: []string{"xds.internal", "127.0.0.1"}, Nodes: []string{"edge-0", "edge-1"}, Days: 90, Now: now}
	if change != nil {
		change(&o)
	}
	made, err := Make(o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

var dirs = map[string]string{}

func dirOf(t *testing.T) string {
	t.Helper()
	if dirs[t.Name()] == "" {
		dirs[t.Name()] = filepath.Join(t.TempDir(), "certs")
	}
	return dirs[t.Name()]
}

// held is whether the certificate of a folder is good for a use, by a folder's bundle.
func held(t *testing.T, dir, by, name string, usage x509.ExtKeyUsage) error {
	t.Helper()
	p, err := tls.LoadX509KeyPair(filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile(filepath.Join(by, CAFile))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	_, err = p.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

// What is made holds, is kept when it is asked for again, and its keys are for the owner alone.
func TestMake(t *testing.T) {
	if made := making(t, nil); len(made) != 4 {
		t.Errorf("made %q, want a CA and three certificates", made)
	}
	if made := making(t, nil); len(made) != 0 {
		t.Errorf("made again: %q", made)
	}
	server, edge := ServerDir(dirOf(t)), ProxyDir(dirOf(t), "edge-0")
	for _, name := range []string{"xds.internal", "127.0.0.1"} {
		if err := held(t, server, edge, name, x509.ExtKeyUsageServerAuth); err != nil {
			t.Errorf("the server's: %v", err)
		}
	}
	if err := held(t, edge, server, "edge-0", x509.ExtKeyUsageClientAuth); err != nil {
		t.Errorf("a proxy's: %v", err)
	}
	if err := held(t, edge, server, "edge-0", x509.ExtKeyUsageServerAuth); err == nil {
		t.Error("a proxy's certificate makes a server")
	}
	for _, dir := range []string{server, edge} {
		if info, err := os.Stat(filepath.Join(dir, KeyFile)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key in %s: %v, %v", dir, info.Mode(), err)
		}
	}
	if made := making(t, func(o *Options) { o.Servers, o.Nodes = nil, nil }); len(made) != 0 {
		t.Errorf("for what is there: %q", made)
	}
	if made := making(t, func(o *Options) { o.Servers, o.Nodes = []string{"other"}, nil }); len(made) != 1 || held(t, server, edge, "other", x509.ExtKeyUsageServerAuth) != nil {
		t.Errorf("for another name of the server: %q", made)
	}
	making(t, nil)
	if made := making(t, func(o *Options) { o.Now = now.AddDate(0, 0, 61) }); len(made) != 3 {
		t.Errorf("with less than a third of their lives left %q are made anew, want three certificates", made)
	}
}

// For proxies of another user of the folder's group their keys are readable, and no other.
func TestGroup(t *testing.T) {
	making(t, func(o *Options) { o.Group = true })
	for path, want := range map[string]os.FileMode{
		filepath.Join(ProxyDir(dirOf(t), "edge-0"), KeyFile): 0o640, ProxyDir(dirOf(t), "edge-0"): 0o750, ProxyDir(dirOf(t), ""): 0o750,
		filepath.Join(ServerDir(dirOf(t)), KeyFile): 0o600, ServerDir(dirOf(t)): 0o700, filepath.Join(dirOf(t), caKeyFile): 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

// A rotation of the CA leaves what it has issued good, until the CA before is given up.
func TestRotate(t *testing.T) {
	making(t, nil)
	server, edge := ServerDir(dirOf(t)), ProxyDir(dirOf(t), "edge-0")
	client := func() error { return held(t, edge, server, "edge-0", x509.ExtKeyUsageClientAuth) }
	served := func() error { return held(t, server, edge, "xds.internal", x509.ExtKeyUsageServerAuth) }
	making(t, func(o *Options) { o.Rotate.CA = true })
	for _, rotated := range []Rotation{{}, {Server: true}, {Proxies: true}} {
		making(t, func(o *Options) { o.Rotate = rotated })
		if err := client(); err != nil {
			t.Errorf("%+v: %v", rotated, err)
		}
		if err := served(); err != nil {
			t.Errorf("%+v: %v", rotated, err)
		}
	}
	old, err := os.ReadFile(filepath.Join(edge, CertFile))
	if err != nil {
		t.Fatal(err)
	}
	making(t, func(o *Options) { o.RetireCA = true })
	if err := client(); err != nil {
		t.Errorf("of the new CA: %v", err)
	}
	// Given up with what it has issued still in use, that is made anew.
	making(t, func(o *Options) { o.Rotate.CA = true })
	if made := making(t, func(o *Options) { o.RetireCA = true }); len(made) != 4 {
		t.Errorf("made %q, want that the CA is gone and three certificates", made)
	}
	if err := client(); err != nil {
		t.Error(err)
	}
	if again, err := os.ReadFile(filepath.Join(edge, CertFile)); err != nil || string(again) == string(old) {
		t.Errorf("a certificate of a CA that was given up was left: %v", err)
	}
}

func TestMakeRefuses(t *testing.T) {
	for _, node := range []string{"", "../x", "a/b", ".", "..data", "a b"} {
		if _, err := Make(Options{Dir: t.TempDir(), Nodes: []string{node}, Days: 1, Now: now}); err == nil || !strings.Contains(err.Error(), "node id") {
			t.Errorf("node id %q: %v", node, err)
		}
	}
}
