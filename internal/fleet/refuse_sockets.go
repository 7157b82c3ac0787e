package fleet

import (
	"net/netip"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"go.yaml.in/yaml/v3"
)

// listenSockets reports addresses that Envoy can't open together or in the way that the
// listener says.
// (Envoy 1.40.0: ListenerImpl and its validateConfig, buildInternalListener and
// checkIpv4CompatAddress in source/common/listener_manager/listener_impl.cc.)
func (p *parser) listenSockets(l *listenerv3.Listener, n *yaml.Node) {
	if l.GetInternalListener() != nil {
		p.inside(l, n)
		return
	}
	if l.GetAddress().GetEnvoyInternalAddress() != nil {
		p.add(lineOf(n, "address"), "listener %q: an internal listener has no address: say internal_listener: {} instead", l.GetName())
	}
	for i, more := range l.GetAdditionalAddresses() {
		p.besides(l, more.GetAddress(), orElse(item(child(n, "additional_addresses"), i), n))
	}
	p.multipath(l, n)
	p.ipv4Compat(l, n)
}

func isUDP(a *corev3.Address) bool {
	return a.GetSocketAddress().GetProtocol() == corev3.SocketAddress_UDP
}

// besides reports an address that can't be one of a listener's beside its first.
func (p *parser) besides(l *listenerv3.Listener, more *corev3.Address, n *yaml.Node) {
	switch {
	case more == nil: // no Envoy refuses it: it aborts
		p.add(n.Line, "listener %q: one of its additional_addresses has no address", l.GetName())
	case isUDP(more) != isUDP(l.GetAddress()):
		p.add(lineOf(n, "address"), "listener %q: of its addresses, some are of UDP and some are not: make two listeners of it", l.GetName())
	case more.GetEnvoyInternalAddress() != nil:
		p.add(lineOf(n, "address"), "listener %q: an internal address is not one beside others: make an internal_listener of its own", l.GetName())
	}
}

// inside reports what a listener without a socket can't have.
func (p *parser) inside(l *listenerv3.Listener, n *yaml.Node) {
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"additional_addresses", len(l.GetAdditionalAddresses()) > 0},
		{"connection_balance_config", l.GetConnectionBalanceConfig().GetExactBalance() != nil},
		{"enable_mptcp", l.GetEnableMptcp()},
		{"enable_reuse_port", l.GetEnableReusePort() != nil},
		{"freebind", l.GetFreebind().GetValue()},
		{"socket_options", len(l.GetSocketOptions()) > 0},
		{"tcp_backlog_size", l.GetTcpBacklogSize() != nil},
		{"tcp_fast_open_queue_length", l.GetTcpFastOpenQueueLength() != nil},
		{"transparent", l.GetTransparent().GetValue()},
	} {
		if field.set {
			p.add(lineOf(n, field.name), "listener %q is an internal one, without a socket: it can have no %s", l.GetName(), field.name)
		}
	}
}

// multipath reports a listener for Multipath TCP that is of something else than TCP.
func (p *parser) multipath(l *listenerv3.Listener, n *yaml.Node) {
	if !l.GetEnableMptcp() {
		return
	}
	tcp := func(a *corev3.Address) bool { return a == nil || a.GetSocketAddress() != nil && !isUDP(a) }
	all := tcp(l.GetAddress())
	for _, more := range l.GetAdditionalAddresses() {
		all = all && tcp(more.GetAddress())
	}
	if !all {
		p.add(lineOf(n, "enable_mptcp"), "listener %q: enable_mptcp is for IP addresses with TCP, and it has others", l.GetName())
	}
}

// ipv4Compat reports an address that is to take IPv4 as well, and is none of IPv6 that could.
// Of each address of a listener, Envoy looks at the first one for that.
func (p *parser) ipv4Compat(l *listenerv3.Listener, n *yaml.Node) {
	first := l.GetAddress().GetSocketAddress()
	ip, err := netip.ParseAddr(first.GetAddress())
	if err != nil || ip.IsUnspecified() && ip.Is6() || ip.Is4In6() && first.GetIpv4Compat() {
		return
	}
	const wanted = "ipv4_compat is for the IPv6 address :: and for those like ::ffff:192.0.2.1"
	if first.GetIpv4Compat() {
		p.add(lineOf(n, "address", "socket_address", "ipv4_compat"), "listener %q: %s: this is %s", l.GetName(), wanted, ip)
	}
	for i, more := range l.GetAdditionalAddresses() {
		if more.GetAddress().GetSocketAddress().GetIpv4Compat() {
			p.add(lineOf(n, "additional_addresses", i, "address", "socket_address", "ipv4_compat"),
				"listener %q: %s, and of an additional address Envoy looks at the listener's first for that: this is %s", l.GetName(), wanted, ip)
		}
	}
}

// socketPath reports a Unix socket that can't be. With an address for DNS to look up, Envoy
// makes nothing of it.
func (p *parser) socketPath(pipe *corev3.Pipe, n *yaml.Node, address ...any) {
	at := func(field string) int { return lineOf(n, append(slices.Clone(address), "pipe", field)...) }
	path := pipe.GetPath()
	abstract := strings.HasPrefix(path, "@")
	switch {
	case len(path) > maxSocketPath:
		p.add(at("path"), "path: that of a Unix socket is of up to %d bytes, and this of %d", maxSocketPath, len(path))
	case !abstract && strings.Contains(path, "\x00"):
		p.add(at("path"), "path: that of a Unix socket can't contain a zero byte")
	}
	if abstract && pipe.GetMode() != 0 {
		p.add(at("mode"), "mode: the abstract Unix socket %q is no file, and has none", path)
	}
}
