package snapshot

import (
	"fmt"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// FailOpen is whether requests pass a filter of it whose VM has crashed.
func (s *Snapshot) FailOpen() bool {
	return slices.ContainsFunc(s.All(resource.ExtensionConfigType), func(r *Resource) bool { return r.open })
}

// Required lists the resources of a type that a proxy must have acknowledged to
// be on this snapshot: all listeners and clusters, and what those ask for.
func (s *Snapshot) Required(typeURL string) []string { return s.needs[typeURL] }

// Asks are the resources of a type that it makes a proxy ask for.
func (r *Resource) Asks(typeURL string) []fleet.Need {
	return slices.DeleteFunc(slices.Clone(r.asks), func(n fleet.Need) bool { return n.Kind.Type != typeURL })
}

// Binds are a listener's addresses, or what else it has to itself.
func (r *Resource) Binds() []fleet.Bind { return r.sockets.Binds }

// Sockets are where a listener is, or what else it has to itself.
func (r *Resource) Sockets() fleet.Sockets { return r.sockets }

// read finds out what each resource makes a proxy ask for.
func (s *Snapshot) read() error {
	for _, k := range fleet.Kinds {
		for _, r := range s.All(k.Type) {
			if err := r.read(); err != nil {
				return err
			}
		}
	}
	return nil
}

// AsksOthers is whether a listener, or a filter by ECDS, asks another than this server for something that
// it waits for before it is warm.
func (s *Snapshot) AsksOthers() bool {
	for _, url := range []string{resource.ListenerType, resource.ExtensionConfigType} {
		if slices.ContainsFunc(s.All(url), func(r *Resource) bool { return r.asksOthers }) {
			return true
		}
	}
	return false
}

func (r *Resource) read() error {
	if r.module != "" {
		return nil // a Wasm filter: megabytes, and it names nothing that a proxy would ask for
	}
	m, err := r.Wire.GetResource().UnmarshalNew()
	if err != nil {
		return fmt.Errorf("reading %s %q: %w", r.typeURL(), r.Name, err)
	}
	r.asks, r.sockets, r.namesHost = fleet.Needs(m), fleet.PlacesOf(m), fleet.NamesHost(m)
	r.filters = runs(optionsOf(m).GetHttpFilters())
	switch l := m.(type) {
	case *corev3.TypedExtensionConfig:
		r.asksOthers = fleet.AsksOthers(m)
	case *listenerv3.Listener:
		r.asksOthers = fleet.AsksOthers(m)
		if l.GetApiListener() != nil {
			// A gRPC client's: Envoy takes it and does nothing with it. What clients ask for
			// by name is seen when they do.
			r.asks = nil
		}
	}
	return nil
}

// findNeeds works out what a proxy on this snapshot asks for: what it has unasked,
// what that makes it ask for, and what this does in turn. It goes by what is in the
// snapshot and nothing else: a proxy that is to have what nothing names never asks
// for it, and would be waited for in vain. What is missing is taken over from other.
func (s *Snapshot) findNeeds(other *Snapshot) error {
	s.needs = map[string][]string{}
	found := map[fleet.Need]bool{}
	var open []fleet.Need
	for _, k := range fleet.Kinds {
		for _, r := range s.All(k.Type) {
			if k.Unasked {
				open = append(open, fleet.Need{Kind: k, Name: r.Name})
			}
		}
	}
	for len(open) > 0 {
		n := open[len(open)-1]
		open = open[:len(open)-1]
		if found[n] {
			continue
		}
		found[n] = true
		if n.All() {
			for _, r := range s.All(n.Kind.Type) {
				open = append(open, fleet.Need{Kind: n.Kind, Name: r.Name})
			}
			continue
		}
		r := s.Get(n.Kind.Type, n.Name)
		if r == nil && other != nil {
			if r = other.Get(n.Kind.Type, n.Name); r != nil {
				s.add(r)
			}
		}
		if r == nil {
			return fmt.Errorf("revision %s names the %s %q, which does not exist", s.ID, n.Kind.Name, n.Name)
		}
		s.needs[n.Kind.Type] = append(s.needs[n.Kind.Type], n.Name)
		open = append(open, r.asks...)
	}
	for _, names := range s.needs {
		slices.Sort(names)
	}
	return nil
}
