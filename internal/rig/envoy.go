package rig

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
	"github.com/waxwing-xds/waxwing/internal/envoy"
)

// FindEnvoy is the Envoy that benchmarks run, installed if need be; they run in the
// project's folder.
func FindEnvoy(ctx context.Context) (string, error) {
	return envoy.Find(ctx, ".tools", func(what string) { fmt.Fprintln(os.Stderr, what) })
}

// StartEnvoy runs an Envoy with the bootstrap that `xds bootstrap` writes: of the server,
// of cluster "edge", with its files in the folder of the options.
func (s *Server) StartEnvoy(o envoy.Options, b bootstrap.Options) (*envoy.Proxy, error) {
	b.NodeID, b.Admin = o.NodeID, "127.0.0.1:0"
	b.Cluster, b.Server = cmp.Or(b.Cluster, "edge"), cmp.Or(b.Server, s.Listen)
	var text bytes.Buffer
	if err := bootstrap.Write(&text, b); err != nil {
		return nil, err
	}
	o.Bootstrap = filepath.Join(o.Dir, o.NodeID+".yaml")
	if err := os.WriteFile(o.Bootstrap, text.Bytes(), 0o600); err != nil {
		return nil, fmt.Errorf("the bootstrap of Envoy %s: %w", o.NodeID, err)
	}
	return envoy.Start(o)
}

// Ingress is a bootstrap of which the listener of Fleet is at an address.
func Ingress(address string) bootstrap.Options {
	return bootstrap.Options{Listen: map[string]string{"ingress": address}}
}
