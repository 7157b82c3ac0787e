package snapshot

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A proxy asks its own real listeners the checks: by a connection from its own host, one for
// each request. What such a connection meets is known from the listener: which of its filter
// chains, by TLS or the PROXY protocol or neither, and whether something in the chain turns it
// away. What can't be asked that way is unproven there, with the reason; a check that failed
// for it would be no evidence.

// ways are the entries of a real listener, by its filter chains: one for each that differs
// from the others in what it serves, and one for each reason why some can't be asked.
func (s *Snapshot) ways(l *listenerv3.Listener) []Entry {
	w := ways{of: s, listener: l, clients: clientsOf(l), gate: s.gate(l), seen: map[string]int{}}
	for i, chain := range chainsOf(l) {
		w.chain(i, chain)
	}
	return append(w.asked, w.unasked...)
}

type ways struct {
	of             *Snapshot
	listener       *listenerv3.Listener
	clients        clients
	gate           gate
	asked, unasked []Entry
	seen           map[string]int // which entry asks it already, by its content
}

func (w *ways) chain(i int, chain *listenerv3.FilterChain) {
	for at, f := range chain.GetFilters() {
		hcm := hcmOf(f)
		filters := w.of.filtersOf(hcm.GetHttpFilters())
		if len(filters) == 0 {
			continue
		}
		e := Entry{Listener: w.listener.GetName(), Address: w.listener.GetAddress(), Filters: filters, HTTP2: hcm.GetCodecType() == hcmv3.HttpConnectionManager_HTTP2}
		if len(chainsOf(w.listener)) > 1 {
			e.Chain = nameOf(w.listener, i, chain)
		}
		if e.Why = fleet.UnaskedListener(w.listener); e.Why == "" {
			e.Why = w.in(&e, chain, chain.GetFilters()[:at], hcm)
		}
		w.add(e, string(f.GetTypedConfig().GetValue()))
	}
}

// in finds out how a filter chain is asked, and why it can't be.
func (w *ways) in(e *Entry, chain *listenerv3.FilterChain, before []*listenerv3.Filter, hcm *hcmv3.HttpConnectionManager) (why string) {
	if w.gate.why != "" {
		return w.gate.why
	}
	c, why := w.reach(chain, e.HTTP2)
	if why != "" {
		return why
	}
	e.HTTP2 = e.HTTP2 || slices.Contains(c.alpn, alpnHTTP2)
	if why := cmp.Or(w.of.networkFilters(before, c), w.of.refusedByRBAC(hcm, c)); why != "" {
		return why
	}
	if why := w.certified(chain, &c); why != "" {
		return why
	}
	if e.Socket, why = w.socketTo(chain, c, w.gate.proxied); why == "" {
		e.own, e.refusers = w.of.own(e, hcm, c), w.of.refusers(hcm)
	}
	return why
}

func (w *ways) add(e Entry, content string) {
	key := strings.Join(append(slices.Clone(e.Filters), strconv.FormatBool(e.HTTP2), content), "\x00")
	if e.Why == "" {
		if at, seen := w.seen[key]; !seen {
			w.seen[key], w.asked = len(w.asked), append(w.asked, e)
		} else if len(e.own) < len(w.asked[at].own) {
			w.asked[at] = e // through which more can be shown
		}
		return
	}
	for i, other := range w.unasked {
		if other.Why == e.Why {
			w.unasked[i].more++
			return
		}
	}
	w.unasked = append(w.unasked, e)
}

// nameOf is a filter chain's, for people.
func nameOf(l *listenerv3.Listener, i int, chain *listenerv3.FilterChain) string {
	name := "#" + strconv.Itoa(i+1)
	if i == len(l.GetFilterChains()) {
		name = "default"
	}
	return cmp.Or(chain.GetName(), strings.Join(chain.GetFilterChainMatch().GetServerNames(), " "), name)
}

// Way names an entry for people.
func (e Entry) Way() string {
	text := e.Listener
	if e.Chain != "" {
		text += ", filter chain " + e.Chain
	}
	if e.more > 0 {
		text += fmt.Sprintf(" (and %d more)", e.more)
	}
	return text
}

// A connection is one by which a filter chain is asked.
type connection struct {
	clients

	tls  bool
	sni  string
	alpn []string

	check *fleet.Check // whose request it has, nil for any
}

// clients are those that ask: the proxy itself.
type clients struct {
	from netip.Addr // and to; not valid where the listener has a Unix socket
	port uint32
}

// clientsOf are those of a listener: a connection to an address of one's own comes from it.
// https://man7.org/linux/man-pages/man7/ip.7.html
func clientsOf(l *listenerv3.Listener) clients {
	socket := l.GetAddress().GetSocketAddress()
	if socket == nil {
		return clients{}
	}
	c := clients{port: socket.GetPortValue()}
	ip, err := netip.ParseAddr(socket.GetAddress())
	switch {
	case err != nil: // fleet.Unasked says so
	case !ip.IsUnspecified():
		c.from = ip
	case ip.Is4():
		c.from = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		c.from = netip.IPv6Loopback()
	}
	return c
}
