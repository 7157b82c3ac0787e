package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Processes that share a node id and differ in what fleets go by, their labels say, can't be
// given the same: the fleet of the one would take the listeners of the other. Each is a proxy
// of its own, a twin. The first that came has the id for its name, another one the id with a
// hash of its labels behind it. Which labels the plain name stands for is noted, and
// survives a restart by Twins, so that what is known of the one is never taken for the other,
// in whatever order they come back.
//
// No process changes its labels while it runs. So what comes with others than the process
// before, when that has gone, is one that was started anew, and has its name.

// maxTwins is of how many node ids it is noted who has the plain name.
const maxTwins = 1000

// rowOf finds or makes the proxy that a node is of, and locks it. It notes in the node under
// which name that is. fresh says that it has no configuration.
func (s *Server) rowOf(node *corev3.Node, fresh bool) *proxy {
	delete(node.GetMetadata().GetFields(), fleet.SaidIDKey) // it is the server's to say
	id, labels := node.GetId(), labelsOf(node)
	p := s.proxyOf(id) // locked
	if labels == "" || p.isOf(labels, fresh) {
		if labels != "" {
			p.labels = labels
		}
		return p
	}
	p.vacate() // it may have been made just now
	p.mu.Unlock()
	twin := s.proxyOf(id + "~" + labels) // locked
	twin.labels = labels
	fleet.Rename(node, twin.id)
	return twin
}

// labelsOf is a hash of what fleets go by in a node, "" where there is nothing: some clients
// open a stream with their id alone, beside another one.
func labelsOf(node *corev3.Node) string {
	attributes := fleet.AttributesOf(node)
	delete(attributes, "id")
	if len(attributes) == 0 {
		return ""
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		fmt.Fprintf(h, "%s\x00%s\x00", name, attributes[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}

// isOf is whether a process with these labels has the proxy's plain name. Called with the
// proxy locked.
func (p *proxy) isOf(labels string, fresh bool) bool {
	there := len(p.sessions) > 0 || len(p.voices.health) > 0 || p.voices.metrics > 0
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, noted := s.twins[p.id]
	switch {
	case noted && owner == labels:
		return true
	case noted && fresh && !there && !s.anyTwin(p.id):
		delete(s.twins, p.id) // the only process there is, and it has nothing yet
		return true
	case noted:
		return false
	case !there || p.labels == "" || p.labels == labels:
		return true
	}
	s.noteTwin(p.id, p.labels)
	return false
}

// anyTwin is whether there is one of a node id. Called with the server locked.
func (s *Server) anyTwin(id string) bool {
	for name, p := range s.proxies {
		if strings.HasPrefix(name, id+"~") && p.place == nil {
			return true
		}
	}
	return false
}

// noteTwin notes whose the plain name is; where there are too many, in the place of those of
// which no process is there. Called with the server locked.
func (s *Server) noteTwin(id, labels string) {
	if len(s.twins) >= maxTwins {
		maps.DeleteFunc(s.twins, func(id, _ string) bool { return s.proxies[id] == nil && !s.anyTwin(id) })
	}
	if len(s.twins) < maxTwins {
		s.twins[id] = labels
	}
}

// Twins are the node ids that processes with different labels share, and a hash of the labels
// of the process that has the id for its name.
func (s *Server) Twins() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.twins)
}

// SetTwins takes what Twins said before a restart. It is for before the first proxy comes.
func (s *Server) SetTwins(twins map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.twins, twins)
}
