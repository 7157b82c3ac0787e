package snapshot

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// Encode writes the snapshot for the state directory. It keeps the marshalled
// resources as they are: what a restarted server sends is, to the byte and to
// the version, what its proxies have already.
func (s *Snapshot) Encode() ([]byte, error) {
	message := &discoveryv3.DeltaDiscoveryResponse{SystemVersionInfo: s.ID}
	for _, typeURL := range Types {
		for _, r := range s.All(typeURL) {
			message.Resources = append(message.Resources, r.Wire)
		}
	}
	data, err := proto.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encoding revision %s: %w", s.ID, err)
	}
	return data, nil
}

// Decode reads what Encode wrote. It checks every hash, so that a file that was
// damaged is not taken for a revision.
func Decode(fleetName string, data []byte) (*Snapshot, error) {
	var message discoveryv3.DeltaDiscoveryResponse
	if err := proto.Unmarshal(data, &message); err != nil {
		return nil, fmt.Errorf("decoding a revision of fleet %q: %w", fleetName, err)
	}
	var resources []*Resource
	for _, wire := range message.GetResources() {
		if hashOf(wire.GetResource().GetValue()) != wire.GetVersion() {
			return nil, fmt.Errorf("decoding revision %s of fleet %q: %s %q is damaged",
				message.GetSystemVersionInfo(), fleetName, wire.GetResource().GetTypeUrl(), wire.GetName())
		}
		resources = append(resources, &Resource{Name: wire.GetName(), Version: wire.GetVersion(), Wire: wire})
	}
	s, err := assemble(fleetName, resources)
	if err != nil {
		return nil, fmt.Errorf("decoding a revision of fleet %q: %w", fleetName, err)
	}
	if s.ID != message.GetSystemVersionInfo() {
		return nil, fmt.Errorf("decoding revision %s of fleet %q: its content is that of %s",
			message.GetSystemVersionInfo(), fleetName, s.ID)
	}
	return s, nil
}
