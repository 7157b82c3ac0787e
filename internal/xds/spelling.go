package xds

import (
	"math/rand/v2"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// An Envoy acknowledges a secret or a filter that it has refused, because a file was missing,
// when the same bytes come again: it has noted their hash, and not taken them. It does so on
// another stream, too. So what it may have refused is sent in another spelling each time, and
// what it says of that is the truth.

// wire is a resource as it is sent to this proxy now.
func (s *session) wire(p *push, r *snapshot.Resource) *discoveryv3.Resource {
	if !r.NamesHost() || !fleet.KindOf(p.url).Presumes || s.fresh && !s.types[p.url].presumed[r.Name] {
		return r.Wire
	}
	if p.spelling == 0 {
		p.spelling = s.nextSpelling()
	}
	wire, err := r.Spelled(p.spelling)
	if err != nil {
		return r.Wire // one that can't be spelled otherwise is not sent again: see stuck
	}
	return wire
}

// nextSpelling is one that the proxy was not sent lately, on a stream before this one either.
func (s *session) nextSpelling() snapshot.Spelling {
	if s.spelling == 0 {
		s.spelling = snapshot.Spelling(rand.UintN(1 << 16)) //nolint:gosec // it is to be another one, and no secret
	}
	if s.spelling++; s.spelling == 0 {
		s.spelling++
	}
	return s.spelling
}

// presume notes what the proxy takes for what it has from now on, since it refused it.
func (st *typeState) presume(p *push, versions map[string]string, message string) {
	if !fleet.KindOf(st.url).Presumes {
		return
	}
	for _, r := range p.add {
		if versions[r.Name] == "" {
			continue
		}
		if st.presumed == nil {
			st.presumed = map[string]bool{}
		}
		st.presumed[r.Name] = true
		if _, err := r.Spelled(1); err != nil {
			st.stuck = &stuck{name: r.Name, version: r.Version, message: message}
		}
	}
}

// A stuck resource is one that the proxy refused and that says nothing in another spelling: a
// variable of its environment is missing. It would be acknowledged and not taken. A process
// that has the variable is another one.
type stuck struct{ name, version, message string }

// isStuck reports whether a resource is.
func (st *typeState) isStuck(r *snapshot.Resource) bool {
	return st.stuck != nil && st.stuck.name == r.Name && st.stuck.version == r.Version
}

// stuckWith says once more what the proxy can't take of its target whatever it is sent, and
// reports whether there is such a thing.
func (s *session) stuckWith() bool {
	for _, st := range s.types {
		if st.stuck == nil || s.target == nil || !slices.ContainsFunc(s.target.All(st.url), st.isStuck) {
			continue
		}
		name := (&push{url: st.url, add: []*snapshot.Resource{s.target.Get(st.url, st.stuck.name)}}).String()
		s.tell(Event{Kind: Rejected, Revision: s.target.Pair, Resource: name, Message: st.stuck.message, Trouble: true, Whole: !s.between})
		return true
	}
	return false
}
