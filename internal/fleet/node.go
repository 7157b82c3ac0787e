package fleet

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

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

// WaxwingKey is the key of the node metadata by which a bootstrap says what the
// server can do with the proxy: {"waxwing": {"shadow": "127.0.0.1:18900"}}.
const WaxwingKey = "waxwing"

// SaidIDKey is the key of the node metadata in which the server keeps the id that a proxy
// says, where it knows the proxy by another: processes with other labels or certificates have that id, too.
const SaidIDKey = "waxwing.node_id"

// Rename gives a node another id, and notes the one that the proxy says.
func Rename(node *corev3.Node, id string) {
	notes(node)[SaidIDKey] = structpb.NewStringValue(node.GetId())
	node.Id = id
}

// certificateKey is the key of the node metadata in which the server keeps the name of the
// certificate by which a proxy has proven who it is.
const certificateKey = "waxwing.certificate"

// SetCertificate notes the name of the certificate that a proxy has shown, "" for none. Whatever the
// proxy itself said of that goes.
func SetCertificate(node *corev3.Node, name string) {
	delete(node.GetMetadata().GetFields(), certificateKey)
	if name != "" {
		notes(node)[certificateKey] = structpb.NewStringValue(name)
	}
}

// CertificateOf is what SetCertificate has noted.
func CertificateOf(node *corev3.Node) string {
	return node.GetMetadata().GetFields()[certificateKey].GetStringValue()
}

// notes are the fields of a node's metadata, made where it has none.
func notes(node *corev3.Node) map[string]*structpb.Value {
	if node.Metadata == nil {
		node.Metadata = &structpb.Struct{}
	}
	if node.Metadata.Fields == nil {
		node.Metadata.Fields = map[string]*structpb.Value{}
	}
	return node.Metadata.Fields
}

// SaidID is the node id that a proxy says it has.
func SaidID(node *corev3.Node) string {
	if id := node.GetMetadata().GetFields()[SaidIDKey].GetStringValue(); id != "" {
		return id
	}
	return node.GetId()
}

// ShadowAddress reads the address that a proxy asks for its shadow listeners; nil
// where it asks for none, and has abstract Unix sockets.
func ShadowAddress(node *corev3.Node) (*corev3.Address, error) {
	text := node.GetMetadata().GetFields()[WaxwingKey].GetStructValue().GetFields()["shadow"].GetStringValue()
	if text == "" {
		return nil, nil
	}
	address, err := ParseAddress(text)
	if err != nil {
		return nil, fmt.Errorf("node metadata: %s.shadow: %q: %w", WaxwingKey, text, err)
	}
	return address, nil
}

// EvidenceOf reads which evidence a proxy's bootstrap has it give:
// {"waxwing": {"evidence": ["health", "metrics"]}}.
func EvidenceOf(node *corev3.Node) (health, metrics bool) {
	list := node.GetMetadata().GetFields()[WaxwingKey].GetStructValue().GetFields()["evidence"].GetListValue()
	for _, v := range list.GetValues() {
		health = health || v.GetStringValue() == "health"
		metrics = metrics || v.GetStringValue() == "metrics"
	}
	return health, metrics
}

// Restrict notes which fleets a proxy may be of, by its certificate; nil for any. Whatever the
// proxy itself said of that goes.
func Restrict(node *corev3.Node, fleets []string) {
	own := node.GetMetadata().GetFields()[WaxwingKey].GetStructValue()
	delete(own.GetFields(), fleetsKey)
	if fleets == nil {
		return
	}
	if own == nil || own.Fields == nil {
		own = &structpb.Struct{Fields: map[string]*structpb.Value{}}
		notes(node)[WaxwingKey] = structpb.NewStructValue(own)
	}
	list := &structpb.ListValue{}
	for _, name := range fleets {
		list.Values = append(list.Values, structpb.NewStringValue(name))
	}
	own.Fields[fleetsKey] = structpb.NewListValue(list)
}

// fleetsKey is below WaxwingKey: the fleets that a proxy may be of.
const fleetsKey = "fleets"

// MayBeOf is whether a proxy may be of a fleet, as Restrict has noted.
func MayBeOf(node *corev3.Node, fleet string) bool {
	list, ok := node.GetMetadata().GetFields()[WaxwingKey].GetStructValue().GetFields()[fleetsKey]
	return !ok || slices.ContainsFunc(list.GetListValue().GetValues(), func(v *structpb.Value) bool { return v.GetStringValue() == fleet })
}

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
	if parsed.Port() == 0 {
		return nil, errors.New("not an address like 0.0.0.0:18001: its port is 0")
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       parsed.Addr().String(),
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(parsed.Port())},
	}}}, nil
}
