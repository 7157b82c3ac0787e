package xds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/peer"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Processes that share a node id and differ in what fleets go by, their labels say, can't be
// given the same: the fleet of the one would take the listeners of the other. Nor can those
// whose certificates have different names, which rules may let claim one id: what the one says
// would be evidence about the other. Each is a proxy of its own, a twin. The first that came has
// the id for its name, another one the id with a hash of its labels, and of its certificate's
// name, behind it. It is noted whose the plain name is, which survives a restart by Twins, so that what is
// known of the one is never taken for the other, in whatever order they come back.
//
// No process changes its labels while it runs. So what comes with others than the process
// before, when that has gone, is one that was started anew, and has its name.

// maxTwins is of how many node ids it is noted who has the plain name.
const maxTwins = 1000

// who is what tells processes of one node id apart: a hash of their labels and one of the name that
// their certificate has, each "" for none.
type who struct{ labels, by string }

// String is how it is noted.
func (w who) String() string {
	if w.by == "" {
		return w.labels
	}
	return w.labels + "@" + w.by
}

// noted reads what String wrote.
func noted(text string) who {
	labels, by, _ := strings.Cut(text, "@")
	return who{labels, by}
}

// suffix is what is behind the node id in the name of a twin.
func (w who) suffix() string {
	if w.by == "" {
		return w.labels
	}
	return hashed(w.labels + "\x00" + w.by)
}

// has is whether another is the same. Some clients open a stream with their id alone, beside another
// one: without labels. A server that has had no certificates before noted none.
func (w who) has(other who) bool {
	return (w.labels == other.labels || w.labels == "" || other.labels == "") && (w.by == other.by || w.by == "" || other.by == "")
}

// rowOf finds or makes the proxy that a node is of, and locks it. It notes in the node under
// which name that is, and the certificate's name by which the stream has proven to be of it, ""
// for none. fresh says that it has no configuration.
func (s *Server) rowOf(node *corev3.Node, certificate string, fresh bool) *proxy {
	delete(node.GetMetadata().GetFields(), fleet.SaidIDKey) // it is the server's to say
	fleet.SetCertificate(node, certificate)
	id, w := node.GetId(), who{labels: labelsOf(node), by: hashed(certificate)}
	p := s.proxyOf(id) // locked
	if w == (who{}) || p.isOf(w, fresh) {
		p.be(w)
		return p
	}
	p.vacate() // it may have been made just now
	p.mu.Unlock()
	twin := s.proxyOf(id + "~" + w.suffix()) // locked
	twin.be(w)
	fleet.Rename(node, twin.id)
	return twin
}

// be notes whose the proxy is. What somebody with another certificate refused, who has gone, says
// nothing of this one. Called with the proxy locked.
func (p *proxy) be(w who) {
	if p.who.by != w.by {
		p.rejected, p.ack, p.nack = nil, nil, nil
	} else if w.labels == "" {
		return
	}
	p.who = w
}

// labelsOf is a hash of what fleets go by in a node, "" where there is nothing.
func labelsOf(node *corev3.Node) string {
	attributes := fleet.AttributesOf(node)
	delete(attributes, "id")
	text := ""
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		text += fmt.Sprintf("%s\x00%s\x00", name, attributes[name])
	}
	return hashed(text)
}

// hashed is short, and "" for nothing.
func hashed(text string) string {
	if text == "" {
		return ""
	}
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:4])
}

// provenBy is the name of the certificate of a stream's connection, "" for none: whoever guards
// the port says it.
func provenBy(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	if named, ok := p.AuthInfo.(interface{ CertificateName() string }); ok {
		return named.CertificateName()
	}
	return ""
}

// isOf is whether a process has the proxy's plain name. Called with the proxy locked.
func (p *proxy) isOf(w who, fresh bool) bool {
	there := len(p.sessions) > 0 || len(p.voices.health) > 0 || len(p.voices.metrics) > 0
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, is := s.twins[p.id]
	switch {
	case is && noted(owner).has(w):
		if noted(owner).by == "" && w.by != "" { // from now on there are certificates
			s.twins[p.id] = who{noted(owner).labels, w.by}.String()
		}
		return true
	case is && fresh && !there && !s.anyTwin(p.id):
		delete(s.twins, p.id) // the only process there is, and it has nothing yet
		return true
	case is:
		return false
	case !there || p.who.has(w):
		return true
	}
	s.noteTwin(p.id, p.who.String())
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

// Twins are the node ids that processes with different labels or certificates share, and hashes of
// those of the process that has the id for its name.
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
