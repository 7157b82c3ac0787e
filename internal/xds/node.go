package xds

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// ListenKey is the key of the node metadata by which a proxy asks for its
// listeners at other addresses than the fleet file says, each "host:port", ":port"
// or "port", by listener name: {"listen": {"ingress": "0.0.0.0:18001"}}. Proxies
// that share a host need it; those with a network of their own don't.
const ListenKey = "listen"

// slim drops what an Envoy says of itself at length and nobody here reads:
// its hundreds of extensions, some 50 KB for as long as it is connected.
func slim(node *corev3.Node) {
	node.Extensions = nil
	node.ClientFeatures = nil
	node.ListeningAddresses = nil //nolint:staticcheck // deprecated, still sent
}

// Version is the version of a proxy's software: "1.40.0".
func Version(node *corev3.Node) string {
	v := node.GetUserAgentBuildVersion().GetVersion()
	if v == nil {
		return node.GetUserAgentVersion()
	}
	return fmt.Sprintf("%d.%d.%d", v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
}

func softwareOf(node *corev3.Node) string { return node.GetUserAgentName() + " " + Version(node) }

// listenAddresses reads the addresses that a proxy asks for.
func listenAddresses(node *corev3.Node) (map[string]*corev3.Address, error) {
	addresses := map[string]*corev3.Address{}
	for name, value := range node.GetMetadata().GetFields()[ListenKey].GetStructValue().GetFields() {
		text := value.GetStringValue()
		address, err := ParseAddress(text)
		if err != nil {
			quoted, _ := json.Marshal(text) // a string can always be marshalled
			return nil, fmt.Errorf("node metadata: %s.%s: %s: %w", ListenKey, name, quoted, err)
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
