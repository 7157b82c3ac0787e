package snapshot

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// A first revision that is rejected has nothing before it to go back to, and proxies
// that have flipped have opened listeners for it. These are to go. A listener that is
// removed drains for ten minutes, though, in which connections that are kept alive are
// answered on, by the filter that was rejected. So the filters are replaced first, by
// one that denies every request, and only then are the listeners taken away. It is a
// Wasm module, since every listener takes that in its filters' places, those with a
// config_discovery of a person's own included.

//go:embed closed.wasm
var closedModule []byte

// closedMark begins the ID of what Closed makes.
const closedMark = "closed-"

// ClosedID is the ID of what stands for a rejected revision.
func ClosedID(id string) string { return closedMark + id }

// IsClosed reports whether an ID is one that Closed makes, and of which revision.
func IsClosed(id string) (of string, closed bool) { return strings.CutPrefix(id, closedMark) }

// Closed is what proxies are given that have opened listeners for a first revision that
// was rejected: none of them, and filters that deny, for as long as they drain.
func Closed(rejected *Snapshot) (*Snapshot, error) {
	out := *rejected
	out.ID, out.Modules, out.Closes = ClosedID(rejected.ID), nil, true
	out.Pair = pairOf(&out, nil)
	out.types = maps.Clone(rejected.types)
	delete(out.types, resource.ListenerType)
	denials := &collection{byName: map[string]*Resource{}}
	for _, r := range rejected.All(resource.ExtensionConfigType) {
		if r.vm != "" {
			d, err := denial(r.Name)
			if err != nil {
				return nil, fmt.Errorf("closing the listeners of revision %s: %w", rejected.ID, err)
			}
			r = d
		}
		denials.byName[r.Name] = r
		denials.sorted = append(denials.sorted, r)
	}
	out.types[resource.ExtensionConfigType] = denials
	return &out, nil
}

// denial is a filter of a name that answers every request with 503. It has a VM of its
// own: nothing that happened to the filter's is any of its concern.
func denial(name string) (*Resource, error) {
	return filterResource(fleet.Filter{Name: name, Plugin: &wasmv3.PluginConfig{
		FailurePolicy: wasmv3.FailurePolicy_FAIL_CLOSED,
	}}, module.New(slices.Clone(closedModule)))
}
