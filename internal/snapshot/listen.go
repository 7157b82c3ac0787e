package snapshot

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// Listening returns the snapshot with other addresses for some of its
// listeners, by name: what a proxy is given that shares a host with others of
// its fleet. It is the same revision; all but the listeners is shared with s.
func (s *Snapshot) Listening(addresses map[string]*corev3.Address) (*Snapshot, error) {
	changed := false
	own := &collection{byName: map[string]*Resource{}}
	for _, r := range s.All(resource.ListenerType) {
		if address := addresses[r.Name]; address != nil {
			var err error
			if r, err = r.at(address); err != nil {
				return nil, err
			}
			changed = true
		}
		own.byName[r.Name] = r
		own.sorted = append(own.sorted, r)
	}
	if !changed {
		return s, nil
	}
	view := *s
	view.types = map[string]*collection{}
	for typeURL, c := range s.types {
		view.types[typeURL] = c
	}
	view.types[resource.ListenerType] = own
	return &view, nil
}

// at is a listener with another address.
func (r *Resource) at(address *corev3.Address) (*Resource, error) {
	var l listenerv3.Listener
	if err := r.Wire.GetResource().UnmarshalTo(&l); err != nil {
		return nil, fmt.Errorf("reading listener %q: %w", r.Name, err)
	}
	l.Address = proto.CloneOf(address)
	return newResource(resource.ListenerType, r.Name, &l)
}
