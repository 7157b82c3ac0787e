package xds

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// maxMessage bounds what is kept of a proxy's words, in bytes.
const maxMessage = 2048

// lapse forgets what a proxy has of kinds that it needs anew, once it is sent, or has
// taken, what asks for them; and reports whether there was any.
func (s *session) lapse(p *push, when fleet.Lapse) (lapsed bool) {
	for _, k := range fleet.Kinds {
		st := s.types[k.Type]
		if k.Lapses != when || st == nil {
			continue
		}
		var again []string
		for _, r := range p.add {
			again = append(again, st.asked(r)...)
		}
		if len(again) > 0 {
			st.have, lapsed = without(st.have, again), true
		}
	}
	return lapsed
}

// asked is what a proxy has of a type that a resource asks for. What asks for whatever there
// is means what is named after it.
func (st *typeState) asked(by *snapshot.Resource) []string {
	var out []string
	for _, need := range by.Asks(st.url) {
		if !need.All() {
			if st.have[need.Name] != "" {
				out = append(out, need.Name)
			}
			continue
		}
		for name := range st.have {
			if strings.HasPrefix(name, by.Name+"/") {
				out = append(out, name)
			}
		}
	}
	return out
}

// scopesAgain forgets that the proxy has the scopes that listeners ask for which it takes
// now: it asks for all there are, once, and not again for a listener that comes after all
// that asked before have gone. Those that have them already take no notice.
func (s *session) scopesAgain(st *typeState, p *push) {
	scopes := s.types[resource.ScopedRouteType]
	if p.url != resource.ListenerType || scopes == nil {
		return
	}
	for _, r := range p.add {
		if st.acked[r.Name] != r.Version && len(r.Asks(resource.ScopedRouteType)) > 0 {
			have := maps.Clone(scopes.have)
			for name := range have {
				have[name] = "" // which may have to be removed
			}
			scopes.have, scopes.answered = have, false
			return
		}
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
// acknowledges a rejected resource when it is sent the same again. Called with the
// session locked.
func (s *session) verdict(url, nonce string, detail *rpcstatus.Status) {
	st := s.types[url]
	if st == nil || st.awaited == nil || nonce != st.nonce {
		return
	}
	p := st.awaited
	st.awaited = nil
	s.giveBack(st)
	v := &Verdict{At: time.Now(), Resource: p.String()}
	if s.server.log.Enabled(s.stream.Context(), slog.LevelDebug) {
		s.server.log.Debug("answered", "node", s.node.GetId(), "revision", p.revision, "resources", v.Resource, "accepted", detail == nil)
	}
	if detail == nil {
		s.server.counts.accepted.Add(1)
		s.between = s.between || p.met(st.acked) > 0
		s.scopesAgain(st, p)
		st.acked = p.have
		if st.url == resource.ListenerType && s.target != nil {
			s.noteScopes(p.have)
		}
		s.lapse(p, fleet.LapsesWhenTaken)
		s.closed(st, p)
		if p.version != "" {
			st.taken = st.held
		}
		s.proxy.accepts(v)
	} else {
		s.server.counts.rejected.Add(1)
		v.Message = truncate(s.withoutSecrets(p, p.spelling.Plain(detail.GetMessage())))
		s.refused(st, p, v)
	}
}

// withoutSecrets is what a proxy says without what nobody is to be shown of what it has.
func (s *session) withoutSecrets(p *push, text string) string {
	of := p.add
	if s.target != nil {
		of = slices.Concat(of, s.target.All(resource.ExtensionConfigType))
	}
	return snapshot.Hide(of, text)
}

// refused remembers that the proxy does not want these versions, and stops
// pushing until there is another target or, where only its host is in the way, until
// Retry.
func (s *session) refused(st *typeState, p *push, v *Verdict) {
	versions, namesHost := map[string]string{}, false
	for _, r := range p.add {
		if st.acked[r.Name] != r.Version {
			versions[r.Name] = r.Version
			namesHost = namesHost || r.NamesHost()
		}
	}
	trouble := isTrouble(st.url, versions, v.Message, namesHost)
	plain := Verdict{At: v.At, Resource: snapshot.Plain(v.Resource), Message: snapshot.Plain(v.Message)}
	s.proxy.refuses(&refusal{Verdict: plain, trouble: trouble, url: st.url, versions: versions})
	if trouble && s.evade(st, versions, v.Message, p) || !trouble && s.untriable(st, versions, v.Message, p) {
		return
	}
	s.troubled.Store(trouble)
	goesOn := trouble && s.putOff(st, p, versions, v.Message)
	if !trouble {
		s.proxy.refuse(st.url, versions, v.Message)
	}
	s.between = s.between || p.met(st.acked) > 1 // it may have taken a part
	st.doubt(versions, p, v.Message)
	if trouble {
		st.presume(p, versions, v.Message)
	}
	s.halted.Store(!goesOn && s.target != nil && s.target.ID == p.revision)
	if goesOn {
		s.closed(st, p)
	}
	s.tell(Event{Kind: Rejected, Revision: p.pair, Resource: plain.Resource, Message: plain.Message, Trouble: trouble, Whole: !s.between})
}

// met is how many resources that users' requests meet, which those of a shadow are not, a push
// changes or takes away of what a proxy has accepted.
func (p *push) met(accepted map[string]string) int {
	n := 0
	for _, r := range p.add {
		if accepted[r.Name] != r.Version && !strings.HasPrefix(r.Name, snapshot.ShadowPrefix) {
			n++
		}
	}
	for name := range accepted {
		if _, stays := p.have[name]; !stays && !strings.HasPrefix(name, snapshot.ShadowPrefix) {
			n++
		}
	}
	return n
}

// doubt forgets which versions a proxy has: of a response that it refuses an Envoy
// may have taken a part. The names stay, since they may be there to be removed; with a
// whole set goes along what it accepted before, what this one left out included.
func (st *typeState) doubt(versions map[string]string, p *push, message string) {
	have, held := maps.Clone(st.have), maps.Clone(st.held)
	for name := range versions {
		have[name] = ""
		delete(held, name)
	}
	for name := range p.was {
		if _, there := p.have[name]; !there {
			have[name] = ""
		}
	}
	for name, before := range st.taken {
		if _, there := p.have[name]; !there {
			have[name] = ""
		}
		if have[name] == "" {
			held[name] = before
		}
	}
	st.have, st.held = have, held
	st.unbind(versions, p, message)
}

// unbind takes back what a push was to change of where listeners are, as far as it may not have:
// what it took away may be there still, and what the proxy refuses is where it was.
func (st *typeState) unbind(versions map[string]string, p *push, message string) {
	for name := range blamed(versions, message) {
		delete(st.sockets, name)
	}
	for name, was := range p.was {
		if _, there := st.sockets[name]; !there {
			st.sockets[name] = was
		}
	}
}

func (s *session) tell(e Event) {
	e.Node, e.Elapsed = s.node, time.Since(s.assigned)
	s.proxy.tell(s, e)
}

// String names a push for people: "TypedExtensionConfig prime-auth". What it takes away has a
// minus; what it says does not exist, or that there is nothing of the type at all, it says.
func (p *push) String() string {
	names := make([]string, 0, len(p.add)+len(p.remove)+len(p.absent))
	for _, r := range p.add {
		names = append(names, r.Name)
	}
	for _, name := range p.remove {
		names = append(names, "-"+name)
	}
	for _, name := range p.absent {
		if !slices.Contains(p.remove, name) {
			names = append(names, name+" (does not exist)")
		}
	}
	if len(names) == 0 {
		names = []string{"(none)"}
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
