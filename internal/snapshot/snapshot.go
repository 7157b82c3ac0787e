// Package snapshot makes, of a fleet and its modules, the one immutable set of
// xDS resources that every proxy of a revision shares. It does no I/O, and the
// same input gives the same bytes: a version is the hash of content.
package snapshot

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A Resource is one xDS resource, marshalled once and shared by every stream
// that sends it: nothing may write to it.
type Resource struct {
	Name      string
	Version   string // the hash of the marshalled resource
	Wire      *discoveryv3.Resource
	module    string        // of a filter: the digest of its module
	vm        string        // of a filter: the id of its VM
	open      bool          // of a filter: requests pass it when its VM has crashed
	shadow    bool          // of a shadow listener
	moved     string        // of a listener at another address: its version where it was
	filters   []string      // of a cluster: the names of the HTTP filters that its requests meet
	asks      []fleet.Need  // what it makes a proxy ask for
	sockets   fleet.Sockets // of a listener: where it is
	secret    bool          // of a filter: nobody is shown its configuration
	namesHost bool          // it names something of a proxy's host
	// asksOthers says that it waits for something that this server does not deliver.
	asksOthers bool
}

// A Snapshot is everything a proxy of one revision is given. It is immutable.
type Snapshot struct {
	// ID is the revision: the hash of the content, in hex.
	ID string
	// Pair are the revisions that it has: itself, or those that it is composed of.
	Pair Pair
	// Fleet is the name of the fleet it was built for.
	Fleet string
	// Modules are the Wasm modules in it, by filter.
	Modules []Module
	// Closes says that it stands for a revision that was rejected: its listeners are to go,
	// also where none is left. See Closed.
	Closes bool
	// Meta comes along with the revision, and is not a part of it.
	Meta Meta

	types   map[string]*collection
	needs   map[string][]string // type URL to the names that a proxy asks for
	shadows *shadows
	space   string // see Compose

	checkKeys []string // of Meta.Checks, and all of them together
	questions string
}

// Meta is how a revision is to be rolled out and proven. Two that differ in it
// only are the same revision. It is stored with the revision: see Format.
type Meta struct {
	Rollout  fleet.Rollout `json:"rollout"`
	Checks   []Check       `json:"checks,omitempty"`
	NoShadow []string      `json:"no_shadow,omitempty"` // filters that are not put into shadow listeners
	Shadow   fleet.Shadow  `json:"shadow,omitzero"`
	// Secret are the filters whose configurations nobody is shown.
	Secret []string `json:"secret,omitempty"`
}

// A Check is one that the fleet file has for a filter.
type Check struct {
	Filter string `json:"filter"`
	fleet.Check
}

// metaOf collects what a fleet file says about its rollout.
func metaOf(f *fleet.Fleet) Meta {
	m := Meta{Rollout: f.Rollout, Shadow: f.Shadow}
	for _, filter := range f.Filters {
		if filter.Secret() {
			m.Secret = append(m.Secret, filter.Name)
		}
		if !filter.Shadow {
			m.NoShadow = append(m.NoShadow, filter.Name)
		}
		for _, c := range filter.Checks {
			m.Checks = append(m.Checks, Check{Filter: filter.Name, Check: c})
		}
	}
	return m
}

// A Module says which module a filter runs.
type Module struct {
	Filter string `json:"filter"`
	Digest string `json:"digest"` // sha256, hex
}

type collection struct {
	sorted []*Resource
	byName map[string]*Resource
}

// All lists a type's resources by name.
func (s *Snapshot) All(typeURL string) []*Resource {
	if c := s.types[typeURL]; c != nil {
		return c.sorted
	}
	return nil
}

// Get returns a resource, or nil.
func (s *Snapshot) Get(typeURL, name string) *Resource {
	if c := s.types[typeURL]; c != nil {
		return c.byName[name]
	}
	return nil
}

// Live reports whether a proxy on it has a real listener.
func (s *Snapshot) Live() bool {
	return slices.ContainsFunc(s.All(resource.ListenerType), func(r *Resource) bool { return !r.shadow })
}

// newResource marshals a message. Version and bytes depend on its content only.
func newResource(typeURL, name string, m proto.Message) (*Resource, error) {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("marshalling %s %q: %w", typeURL, name, err)
	}
	return resourceOf(typeURL, name, hashOf(value), value), nil
}

// Empty is a resource of a kind that has a name and nothing else.
func Empty(kind *fleet.Kind, name string) (*Resource, error) {
	return newResource(kind.Type, name, kind.New(name))
}

func resourceOf(typeURL, name, version string, value []byte) *Resource {
	return &Resource{Name: name, Version: version, Wire: &discoveryv3.Resource{
		Name: name, Version: version, Resource: &anypb.Any{TypeUrl: typeURL, Value: value},
	}}
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// assemble makes a snapshot of resources.
func assemble(fleetName string, resources []*Resource, meta Meta) (*Snapshot, error) {
	s := &Snapshot{Fleet: fleetName, Meta: meta, types: map[string]*collection{}}
	for _, r := range resources {
		typeURL := r.Wire.GetResource().GetTypeUrl()
		c := s.types[typeURL]
		if c == nil {
			c = &collection{byName: map[string]*Resource{}}
			s.types[typeURL] = c
		}
		if c.byName[r.Name] != nil {
			return nil, fmt.Errorf("two resources %s named %q", typeURL, r.Name)
		}
		r.secret = r.secret || typeURL == resource.ExtensionConfigType && slices.Contains(meta.Secret, filterKind.ForPeople(r.Name))
		c.byName[r.Name] = r
		c.sorted = append(c.sorted, r)
	}
	content := sha256.New()
	for _, k := range fleet.Kinds {
		slices.SortFunc(s.All(k.Type), func(a, b *Resource) int { return cmp.Compare(a.Name, b.Name) })
		for _, r := range s.All(k.Type) {
			fmt.Fprintf(content, "%s\x00%s\x00%s\n", k.Type, r.Name, r.Version)
			if r.module != "" && !fleet.IsUpstream(r.Name) {
				s.Modules = append(s.Modules, Module{Filter: r.Name, Digest: r.module})
			}
		}
	}
	s.ID = hex.EncodeToString(content.Sum(nil)[:8])
	s.Pair = pairOf(s, nil)
	if err := s.read(); err != nil {
		return nil, err
	}
	if err := s.nameChecks(); err != nil {
		return nil, err
	}
	var err error
	if s.shadows, err = cast(s); err != nil {
		return nil, err
	}
	return s, s.findNeeds(nil)
}
