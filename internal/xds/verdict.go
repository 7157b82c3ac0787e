package xds

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"

	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// maxMessage bounds what is kept of a proxy's words, in bytes.
const maxMessage = 2048

var (
	_ delta.Callbacks = (*session)(nil)
	_ sotw.Callbacks  = (*session)(nil)
)

// The callbacks of go-control-plane run on the stream's own goroutine, a
// request's before the watch is made for it.

func (s *session) OnDeltaStreamOpen(context.Context, int64, string) error { return nil }
func (s *session) OnDeltaStreamClosed(int64, *corev3.Node)                {}
func (s *session) OnStreamOpen(context.Context, int64, string) error      { return nil }
func (s *session) OnStreamClosed(int64, *corev3.Node)                     {}

// OnStreamDeltaRequest takes the proxy's verdict out of a request.
func (s *session) OnStreamDeltaRequest(_ int64, req *discoveryv3.DeltaDiscoveryRequest) error {
	if err := s.identify(req.GetNode(), len(req.GetInitialResourceVersions()) == 0); err != nil {
		return err
	}
	s.verdict(req.GetTypeUrl(), req.GetResponseNonce(), req.GetErrorDetail())
	return nil
}

// OnStreamRequest is the same for state-of-the-world.
func (s *session) OnStreamRequest(_ int64, req *discoveryv3.DiscoveryRequest) error {
	if err := s.identify(req.GetNode(), req.GetVersionInfo() == ""); err != nil {
		return err
	}
	s.verdict(req.GetTypeUrl(), req.GetResponseNonce(), req.GetErrorDetail())
	return nil
}

// OnStreamDeltaResponse notes that a push goes out, and under which nonce.
func (s *session) OnStreamDeltaResponse(_ int64, _ *discoveryv3.DeltaDiscoveryRequest, resp *discoveryv3.DeltaDiscoveryResponse) {
	s.sent(resp.GetTypeUrl(), resp.GetNonce())
}

// OnStreamResponse is the same for state-of-the-world.
func (s *session) OnStreamResponse(_ context.Context, _ int64, _ *discoveryv3.DiscoveryRequest, resp *discoveryv3.DiscoveryResponse) {
	s.sent(resp.GetTypeUrl(), resp.GetNonce())
}

func (s *session) sent(url, nonce string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state(url)
	st.awaited, st.nonce, st.pending = st.pending, nonce, nil
	if st.awaited != nil {
		s.server.counts.pushes.Add(1)
		s.server.counts.pushedBytes.Add(int64(st.awaited.size()))
		if s.server.log.Enabled(s.ctx, slog.LevelDebug) {
			s.server.log.Debug("sent", "node", s.node.GetId(), "revision", st.awaited.revision, "resources", st.awaited.String())
		}
		st.have = st.awaited.have
		st.hold(st.awaited)
		s.endpointsAgain(st.awaited)
	}
}

// endpointsAgain forgets that the proxy has the endpoints of clusters that it is
// sent: of a changed cluster Envoy makes a new one, which waits for its endpoints
// to be sent again, 15 s by default.
func (s *session) endpointsAgain(p *push) {
	eds := s.types[resource.EndpointType]
	if p.url != resource.ClusterType || eds == nil || s.target == nil {
		return
	}
	var again []string
	for _, r := range p.add {
		if name := s.target.EndpointsOf(r.Name); eds.have[name] != "" {
			again = append(again, name)
		}
	}
	if len(again) > 0 {
		eds.have = without(eds.have, again)
		s.advance()
	}
}

// hold keeps a state-of-the-world set of listeners or clusters.
func (st *typeState) hold(p *push) {
	if p.version == "" || !fullState(st.url) {
		return
	}
	st.held = map[string]*snapshot.Resource{}
	for _, r := range p.add {
		st.held[r.Name] = r
	}
}

// verdict matches a request to the response that it answers, by nonce. A request
// that answers none, or an older one, says nothing of what is under way: Envoy
// acknowledges a rejected resource when it is sent the same again.
func (s *session) verdict(url, nonce string, refusal *rpcstatus.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.types[url]
	if st == nil || st.awaited == nil || nonce != st.nonce {
		return
	}
	p := st.awaited
	st.awaited = nil
	s.settled(st)
	v := &Verdict{At: time.Now(), Resource: p.String()}
	if s.server.log.Enabled(s.ctx, slog.LevelDebug) {
		s.server.log.Debug("answered", "node", s.node.GetId(), "revision", p.revision, "resources", v.Resource, "accepted", refusal == nil)
	}
	if refusal == nil {
		s.server.counts.accepted.Add(1)
		st.acked = p.have
	} else {
		s.server.counts.rejected.Add(1)
		v.Message = truncate(refusal.GetMessage())
		s.refused(st, p, v)
	}
	s.proxy.said(refusal == nil, v)
}

// refused remembers that the proxy does not want these versions, and stops
// pushing until there is another target.
func (s *session) refused(st *typeState, p *push, v *Verdict) {
	versions := map[string]string{}
	for _, r := range p.add {
		if st.acked[r.Name] != r.Version {
			versions[r.Name] = r.Version
		}
	}
	s.proxy.refuse(st.url, versions, v.Message)
	st.doubt(versions)
	s.halted.Store(s.target != nil && s.target.ID == p.revision)
	s.tell(Event{Kind: Rejected, Revision: p.revision, Resource: v.Resource, Message: v.Message})
}

// doubt forgets which versions a proxy has: of a response that it refuses an Envoy
// may have taken a part. The names stay, since they may be there to be removed, but
// are not sent along with a whole set.
func (st *typeState) doubt(versions map[string]string) {
	have := maps.Clone(st.have)
	for name := range versions {
		have[name] = ""
		delete(st.held, name)
	}
	st.have = have
}

func (s *session) tell(e Event) {
	e.Node, e.Elapsed = s.node, time.Since(s.assigned)
	s.proxy.tell(s, e)
}

// String names a push for people: "TypedExtensionConfig prime-auth".
func (p *push) String() string {
	names := make([]string, 0, len(p.add)+len(p.remove))
	for _, r := range p.add {
		names = append(names, r.Name)
	}
	for _, name := range p.remove {
		names = append(names, "-"+name)
	}
	if more := len(names) - 5; more > 0 {
		names = append(slices.Clip(names[:5]), fmt.Sprintf("and %d more", more))
	}
	return p.url[strings.LastIndex(p.url, ".")+1:] + " " + strings.Join(names, ", ")
}

func truncate(message string) string {
	if len(message) > maxMessage {
		return strings.ToValidUTF8(message[:maxMessage], "") + " …"
	}
	return message
}
