package fleet

import (
	"fmt"
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

// A Bind is an address that a listener has to itself.
type Bind struct {
	// Name is the address: "TCP://127.0.0.1:80", "unix:///run/x".
	Name string
	// port is "TCP:80" where the address is that of every interface or may meet such a
	// one; any says that it is.
	port   string
	any    bool
	shares bool // the kernel lets it bind beside others: SO_REUSEPORT
}

// BindsOf are the addresses of a listener. What binds no port has its address to itself
// all the same: Envoy looks for a listener by it.
// (Envoy 1.40.0: ListenerImpl::hasDuplicatedAddress in source/common/listener_manager/listener_impl.cc.)
func BindsOf(l *listenerv3.Listener) []Bind {
	binds := l.GetBindToPort() == nil || l.GetBindToPort().GetValue()
	shares := l.GetEnableReusePort() == nil || l.GetEnableReusePort().GetValue()
	var out []Bind
	add := func(a *corev3.Address) {
		if b, ok := bindOf(a, binds); ok {
			b.shares = shares
			out = append(out, b)
		}
	}
	add(l.GetAddress())
	for _, more := range l.GetAdditionalAddresses() {
		add(more.GetAddress())
	}
	return out
}

// bindOf names an address; ok is false where nothing can collide with it.
func bindOf(a *corev3.Address, binds bool) (b Bind, ok bool) {
	switch a := a.GetAddress().(type) {
	case *corev3.Address_SocketAddress:
		s := a.SocketAddress
		if s.GetPortValue() == 0 && binds { // any free port
			return Bind{}, false
		}
		b.Name = fmt.Sprintf("%s://%s:%d", s.GetProtocol(), s.GetAddress(), s.GetPortValue())
		if ip, err := netip.ParseAddr(s.GetAddress()); err == nil && binds {
			b.port, b.any = fmt.Sprintf("%s:%d", s.GetProtocol(), s.GetPortValue()), ip.IsUnspecified()
		}
		if space := s.GetNetworkNamespaceFilepath(); space != "" { // each has all ports
			b.Name += " in " + space
			b.port += " in " + space
		}
		return b, true
	case *corev3.Address_Pipe:
		return Bind{Name: "unix://" + a.Pipe.GetPath()}, true
	}
	return Bind{}, false
}

// Collides reports whether two listeners can't have the two addresses at one time.
func (b Bind) Collides(other Bind) bool {
	if b.Name == other.Name {
		return true
	}
	return b.port != "" && b.port == other.port && (b.any || other.any) && (!b.shares || !other.shares)
}

// Alone reports whether not even the listener itself can have it once more. Envoy 1.40.0
// opens a Unix socket anew, and looks for a listener that binds no port by one of the two.
func (b Bind) Alone() bool { return b.port != "" && !b.shares }

// BindOf is the one address of a listener that has no other.
func BindOf(a *corev3.Address) []Bind {
	if b, ok := bindOf(a, true); ok {
		return []Bind{b}
	}
	return nil
}

// maxSocketPath is how long the path of a Unix socket may be, in bytes.
// https://man7.org/linux/man-pages/man7/unix.7.html
const maxSocketPath = 107

// Unasked says why a proxy can't be asked something through an address of its own, or
// is empty. Envoy 1.40.0 does not refuse such an address in a health check: it aborts.
func Unasked(a *corev3.Address) string {
	switch a := a.GetAddress().(type) {
	case *corev3.Address_SocketAddress:
		return unaskedSocket(a.SocketAddress)
	case *corev3.Address_Pipe:
		switch path := a.Pipe.GetPath(); {
		case path == "" || len(path) > maxSocketPath:
			return "its Unix socket has no path of up to 107 bytes"
		case path[0] == '@' && a.Pipe.GetMode() != 0:
			return "its abstract Unix socket has a mode"
		}
		return ""
	case *corev3.Address_EnvoyInternalAddress:
		return "it is internal: connections come from the proxy itself"
	}
	return "it has no address"
}

func unaskedSocket(s *corev3.SocketAddress) string {
	ip, err := netip.ParseAddr(s.GetAddress())
	switch {
	case s.GetProtocol() != corev3.SocketAddress_TCP:
		return "it speaks UDP or QUIC: health discovery asks by TCP"
	case err != nil || ip.Zone() != "":
		return "its address is no number"
	case s.GetNamedPort() != "":
		return "its port has a name and no number"
	case s.GetPortValue() == 0 || s.GetPortValue() > 65535:
		return "its port is one that the proxy chooses"
	}
	return ""
}

// UnaskedListener says why a proxy can't be asked something through a listener, as far as
// that lies in where it listens, or is empty.
func UnaskedListener(l *listenerv3.Listener) string {
	if l.GetInternalListener() != nil {
		return "it is internal: connections come from the proxy itself"
	}
	if b := l.GetBindToPort(); b != nil && !b.GetValue() {
		return "it binds no port: connections come from another listener"
	}
	return Unasked(l.GetAddress())
}
