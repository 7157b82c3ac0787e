package snapshot

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Compose is what a proxy is given: the real listeners of one revision, and the
// shadow listeners of another beside them. Without a live one they stand alone;
// without a shadow one they are those of live, and their filters hold no module.
// The result is immutable and can be shared, and is named by its Pair: its ID is that, and
// what sets its shadow listeners apart, if anything does. space sets them apart from those
// of other servers' proxies on one host.
func Compose(live, shadow *Snapshot, space string) *Snapshot {
	from := cmp.Or(shadow, live)
	if from == nil {
		return nil
	}
	out := &Snapshot{
		Fleet: from.Fleet, Meta: from.Meta,
		types: map[string]*collection{}, shadows: &shadows{}, space: space,
	}
	out.name(pairOf(live, shadow))
	if live != nil {
		out.Modules, out.Closes = live.Modules, live.Closes
		for _, k := range fleet.Kinds {
			out.add(live.All(k.Type)...)
		}
	}
	filters := from.shadows.parked
	if shadow != nil {
		out.support(shadow)
		filters = shadow.filtersBeside(live)
	}
	for _, r := range slices.Concat(filters, from.shadows.listeners) {
		out.add(r)
	}
	// Both revisions have all that they name, so that nothing can be missing.
	_ = out.findNeeds(from)
	for _, c := range out.types {
		slices.SortFunc(c.sorted, func(a, b *Resource) int { return cmp.Compare(a.Name, b.Name) })
	}
	return out
}

// support adds the clusters that the filters of a shadow listener may call, and the
// live revision lacks. What both have, and differs, stays as it is live.
func (s *Snapshot) support(shadow *Snapshot) {
	for _, r := range shadow.All(resource.ClusterType) {
		if s.Get(resource.ClusterType, r.Name) == nil {
			s.add(r)
		}
	}
}

// filtersBeside are the filters of the shadow listeners. Envoy runs all that has one
// vm_id in one VM: one that traps, with a configuration that is tried, would take the
// real listener's requests with it. So a filter that differs from the live one, and
// would share its VM, gets VMs of its own.
func (s *Snapshot) filtersBeside(live *Snapshot) []*Resource {
	filters := slices.Clone(s.shadows.filters)
	for i, f := range filters {
		real := live.liveFilter(f.vm)
		if real != nil && real.Version != f.Version {
			filters[i] = f.apart()
		}
	}
	return filters
}

// liveFilter is the filter that runs in a VM, or nil.
func (s *Snapshot) liveFilter(vm string) *Resource {
	if s == nil {
		return nil
	}
	for _, r := range s.All(resource.ExtensionConfigType) {
		if r.vm != "" && r.vm == vm {
			return r
		}
	}
	return nil
}

// apart is a filter with another vm_id, as long as its own, so that nothing around it
// in the marshalled message changes: "NAME~HASH", where all others are "NAME@HASH".
func (r *Resource) apart() *Resource {
	id := []byte(r.vm)
	id[strings.LastIndexByte(r.vm, '@')] = '~'
	value := bytes.Replace(r.Wire.GetResource().GetValue(), []byte(r.vm), id, 1)
	own := resourceOf(r.typeURL(), r.Name, r.Version+"~", value)
	own.module, own.vm, own.shadow, own.secret = r.module, string(id), r.shadow, r.secret
	return own
}

func (s *Snapshot) add(resources ...*Resource) {
	for _, r := range resources {
		c := s.types[r.typeURL()]
		if c == nil {
			c = &collection{byName: map[string]*Resource{}}
			s.types[r.typeURL()] = c
		}
		c.byName[r.Name] = r
		c.sorted = append(c.sorted, r)
	}
}

func (r *Resource) typeURL() string { return r.Wire.GetResource().GetTypeUrl() }

// Entries are the ways into a proxy of this revision: its real listeners, and its
// shadow listeners.
func (s *Snapshot) Entries() []Entry { return s.shadows.entries }

// HasShadow reports whether the revision has a shadow listener.
func (s *Snapshot) HasShadow() bool { return len(s.shadows.listeners) > 0 }

// SameCode reports whether a proxy on another revision has all the code of this one
// compiled. No revision has none.
func (s *Snapshot) SameCode(other *Snapshot) bool {
	if other == nil {
		return false
	}
	for _, r := range s.All(resource.ExtensionConfigType) {
		if r.vm != "" && other.liveFilter(r.vm) == nil {
			return false
		}
	}
	return true
}

// SharedVMs is how many of its Wasm VMs another revision has too, and how many it has.
func (s *Snapshot) SharedVMs(other *Snapshot) (shared, all int) {
	seen := map[string]bool{}
	for _, r := range s.All(resource.ExtensionConfigType) {
		if r.vm == "" || seen[r.vm] {
			continue
		}
		seen[r.vm] = true
		if all++; other.liveFilter(r.vm) != nil {
			shared++
		}
	}
	return shared, all
}

// VMs is how many Wasm VMs a worker holds that has accepted it: one for each
// filter and code, shared between the real listeners and the shadow.
func (s *Snapshot) VMs() int {
	held := map[string]bool{}
	for _, r := range s.All(resource.ExtensionConfigType) {
		if r.vm != "" {
			held[r.vm] = true
		}
	}
	return len(held)
}
