package xds

import (
	"maps"
	"slices"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// An Envoy asks for all listeners and clusters, and then for what those name. Other
// clients, gRPC's above all, ask for each thing by its name, and for no more than they
// need: no shadow listener, no cluster that no route of theirs goes to. What a client does
// not ask for is not required of it. But an Envoy that has yet to ask is waited for.

// named is whether the client asks by name and for nothing else.
func (s *session) named() bool {
	named := false
	for _, k := range fleet.Kinds {
		if st := s.types[k.Type]; st != nil && k.Unasked {
			if st.sub.IsWildcard() {
				return false
			}
			named = true
		}
	}
	return named
}

// names is how many resources a client asks for that asks by name, else 0.
func (s *session) names() int {
	n := 0
	if s.named() {
		for _, st := range s.types {
			n += len(st.sub.SubscribedResources())
		}
	}
	return n
}

// required lists the resources of a type that the client must have accepted to be on the
// target.
func (s *session) required(url string, named bool) []string {
	st, all := s.types[url], s.target.Required(url)
	switch {
	case named && st == nil:
		return nil
	case named:
		return slices.DeleteFunc(slices.Collect(maps.Keys(st.sub.SubscribedResources())), func(name string) bool {
			return s.target.Get(url, name) == nil
		})
	case st == nil && url == resource.ClusterType && s.types[resource.ListenerType] != nil:
		return nil // an Envoy asks for clusters first, or has only those of its bootstrap
	case st != nil && fleet.KindOf(url).Unasked && !st.sub.IsWildcard():
		return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !st.wants(name) })
	}
	return all
}

// complete reports whether the proxy has accepted all that the target requires of it.
func (s *session) complete() bool {
	named := s.named()
	for _, k := range fleet.Kinds {
		url := k.Type
		st := s.types[url]
		for _, name := range s.required(url, named) {
			if st == nil || st.acked[name] != s.target.Get(url, name).Version {
				return false
			}
		}
	}
	return true
}

// offered are the resources of the target of a type, and an empty one for each that the
// proxy asks for and would wait for in vain.
func (s *session) offered(st *typeState) []*snapshot.Resource {
	all := s.target.All(st.url)
	kind := fleet.KindOf(st.url)
	all = append(slices.Clip(all), s.stillWarming(st)...)
	if !kind.Empty || s.trying {
		return all
	}
	for _, name := range slices.Sorted(maps.Keys(st.sub.SubscribedResources())) {
		if s.target.Get(st.url, name) != nil {
			continue
		}
		r, err := snapshot.Empty(kind, name)
		if err != nil {
			s.server.log.Error("a proxy asks for what it can't be given", "node", s.node.GetId(), "error", err)
			continue
		}
		all = append(slices.Clip(all), r)
	}
	return all
}

// absent are the resources that a client asks for by name and that do not exist: by delta
// it is told so, once, rather than left to wait for them. While a first revision is yet to
// be proven there may be some soon, and nothing is said.
func (s *session) absent(st *typeState) []string {
	if s.sotw || !s.target.Live() {
		return nil
	}
	var out []string
	for name := range st.sub.SubscribedResources() {
		if _, has := st.have[name]; !has && !st.told[name] && s.target.Get(st.url, name) == nil {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// tell notes that a push says of resources that they do not exist.
func (st *typeState) tell(p *push) {
	for _, name := range slices.Concat(p.remove, p.absent) {
		if st.told == nil {
			st.told = map[string]bool{}
		}
		st.told[name] = true
	}
	for _, r := range p.add {
		delete(st.told, r.Name)
	}
}
