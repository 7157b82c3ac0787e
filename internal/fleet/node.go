package fleet

import (
	"fmt"
	"net/netip"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// LabelsKey is the key of the node metadata that holds a proxy's labels:
// {"labels": {"track": "canary"}}.
const LabelsKey = "labels"

// ListenKey is the key of the node metadata by which a proxy asks for its
// listeners at other addresses than the fleet file says, each "host:port", ":port"
// or "port", by listener name: {"listen": {"ingress": "0.0.0.0:18001"}}. Proxies
// that share a host need it; those with a network of their own don't.
const ListenKey = "listen"

// ListenAddresses reads the addresses that a proxy asks for its listeners, by name.
func ListenAddresses(node *corev3.Node) (map[string]*corev3.Address, error) {
	addresses := map[string]*corev3.Address{}
	for name, value := range node.GetMetadata().GetFields()[ListenKey].GetStructValue().GetFields() {
		text := value.GetStringValue()
		address, err := ParseAddress(text)
		if err != nil {
			return nil, fmt.Errorf("node metadata: %s.%s: %q: %w", ListenKey, name, text, err)
		}
		addresses[name] = address
	}
	return addresses, nil
}

// ParseAddress reads "host:port", ":port" or "port", the host a number.
func ParseAddress(text string) (*corev3.Address, error) {
	if !strings.Contains(text, ":") {
		text = ":" + text
	}
	if strings.HasPrefix(text, ":") {
		text = "0.0.0.0" + text
	}
	parsed, err := netip.ParseAddrPort(text)
	if err != nil {
		return nil, fmt.Errorf("not an address like 0.0.0.0:18001: %w", err)
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       parsed.Addr().String(),
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(parsed.Port())},
	}}}, nil
}
