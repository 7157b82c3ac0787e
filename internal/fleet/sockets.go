package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// Sockets are where a listener is and how its sockets were made. The zero value is that
// of one that is nowhere.
//
// An Envoy that takes a listener at the addresses of one of the same name keeps that one's
// sockets, as they are, unless one of the options differs that it compares. So of a change
// of all else that makes a socket nothing comes, though it is acknowledged.
// (Envoy 1.40.0: ListenerManagerImpl::setupSocketFactoryForListener and
// ListenerMessageUtil::socketOptionsEqual; seen on a real one.)
type Sockets struct {
	Binds   []Bind
	places  string // its addresses, those that are no Binds included
	made    string // what makes a socket and Envoy does not compare
	options string // what it does compare
	shares  bool   // SO_REUSEPORT
	clients bool   // the listener is for gRPC clients, and nowhere
}

// PlacesOf are what a resource has to itself: a listener its sockets, a scope of routes its
// key, a virtual host its domains among those of the same route.
func PlacesOf(m proto.Message) Sockets {
	var names []string
	switch m := m.(type) {
	case *listenerv3.Listener:
		return SocketsOf(m)
	case *routev3.ScopedRouteConfiguration:
		for _, f := range m.GetKey().GetFragments() {
			names = append(names, strconv.Quote(f.GetStringKey()))
		}
		names = []string{"scope://" + strings.Join(names, ",")}
	case *routev3.VirtualHost:
		route, _, _ := strings.Cut(m.GetName(), "/")
		for _, domain := range m.GetDomains() {
			names = append(names, "host://"+route+"/"+strings.ToLower(domain))
		}
	}
	s := Sockets{places: strings.Join(names, " "), shares: true}
	for _, name := range names {
		s.Binds = append(s.Binds, Bind{Name: name})
	}
	return s
}

// SocketsOf reads those of a listener.
func SocketsOf(l *listenerv3.Listener) Sockets {
	if l.GetApiListener() != nil {
		return Sockets{clients: true} // whatever address it names
	}
	s := Sockets{Binds: BindsOf(l), shares: l.GetEnableReusePort() == nil || l.GetEnableReusePort().GetValue()}
	s.add(l.GetAddress())
	for _, more := range l.GetAdditionalAddresses() {
		s.add(more.GetAddress())
	}
	if b := l.GetBindToPort(); b != nil && !b.GetValue() {
		s.made += " unbound"
	}
	if l.GetInternalListener() != nil {
		s.places += " internal"
	}
	s.options = optionsOf(l)
	return s
}

// At are the sockets of the same listener at another address, its only one.
func (s Sockets) At(address *corev3.Address) Sockets {
	s.Binds, s.places, s.made = BindOf(address), "", ""
	s.add(address)
	return s
}

func (s *Sockets) add(a *corev3.Address) {
	switch a := a.GetAddress().(type) {
	case *corev3.Address_SocketAddress:
		where := a.SocketAddress
		s.places += fmt.Sprintf(" %s://%s:%d", where.GetProtocol(), where.GetAddress(), where.GetPortValue())
		if where.GetIpv4Compat() {
			s.made += " ipv4"
		}
	case *corev3.Address_Pipe:
		s.places += " unix://" + a.Pipe.GetPath()
		s.made += fmt.Sprintf(" mode %o", a.Pipe.GetMode())
	}
}

// optionsOf are the options that Envoy compares.
func optionsOf(l *listenerv3.Listener) string {
	only := &listenerv3.Listener{
		Transparent: l.GetTransparent(), Freebind: l.GetFreebind(), TcpFastOpenQueueLength: l.GetTcpFastOpenQueueLength(),
		EnableMptcp: l.GetEnableMptcp(), SocketOptions: l.GetSocketOptions(),
	}
	for _, more := range l.GetAdditionalAddresses() {
		only.AdditionalAddresses = append(only.AdditionalAddresses, &listenerv3.AdditionalAddress{SocketOptions: more.GetSocketOptions()})
	}
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(only)
	if err != nil {
		return "" // what was read is written: of equal ones nothing has to be made anew
	}
	return string(text)
}

// Nowhere is whether there are none.
func (s Sockets) Nowhere() bool { return s.places == "" }

// Reopened is whether a listener must go before it can come again with other sockets:
// Envoy would keep those that it has, or can't open others beside them and refuses.
//
// One that becomes a listener for gRPC clients, too: an Envoy acknowledges such a listener,
// ignores it, and goes on with what it has under the name.
// (Envoy 1.40.0: ListenerManagerImpl::addOrUpdateListener; seen on a real one.)
func (s Sockets) Reopened(next Sockets) bool {
	switch {
	case s.Nowhere():
		return false
	case next.clients:
		return true
	case next.Nowhere():
		return false
	case s.shares != next.shares: // "reuse port cannot be changed during an update"
		return true
	case s.places == next.places:
		return s.made != next.made || !s.shares && s.options != next.options
	}
	return s.alone(next)
}

// Bars is whether a listener that is gone must have closed its sockets before another can
// come: Envoy would give it these, as they are, or can't open others beside them.
func (s Sockets) Bars(next Sockets) bool {
	switch {
	case s.Nowhere() || next.Nowhere():
		return false
	case s.places == next.places:
		return s.made != next.made || s.shares != next.shares || s.options != next.options
	}
	return s.alone(next)
}

// alone is whether sockets keep others from where they are to be.
func (s Sockets) alone(next Sockets) bool {
	return slices.ContainsFunc(s.Binds, func(a Bind) bool {
		alone := !s.shares || strings.HasPrefix(a.Name, "unix:")
		return alone && slices.ContainsFunc(next.Binds, a.Collides)
	})
}
