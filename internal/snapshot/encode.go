package snapshot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	httpwasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/module"
)

// Encode writes the snapshot for the state directory: a checksum, then the
// resources marshalled as they are. What a restarted server sends is, to the
// byte and to the version, what its proxies have already.
func (s *Snapshot) Encode() ([]byte, error) {
	message := &discoveryv3.DeltaDiscoveryResponse{SystemVersionInfo: s.ID}
	for _, typeURL := range Types {
		for _, r := range s.All(typeURL) {
			message.Resources = append(message.Resources, r.Wire)
		}
	}
	data, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, sha256.Size), message)
	if err != nil {
		return nil, fmt.Errorf("encoding revision %s: %w", s.ID, err)
	}
	sum := sha256.Sum256(data[sha256.Size:])
	copy(data, sum[:])
	return data, nil
}

// Decode reads what Encode wrote, and nothing that was damaged since.
func Decode(fleetName string, data []byte) (*Snapshot, error) {
	s, err := decode(fleetName, data)
	if err != nil {
		return nil, fmt.Errorf("decoding a revision of fleet %q: %w", fleetName, err)
	}
	return s, nil
}

func decode(fleetName string, data []byte) (*Snapshot, error) {
	if len(data) < sha256.Size {
		return nil, errors.New("it is cut short")
	}
	sum := sha256.Sum256(data[sha256.Size:])
	if !bytes.Equal(sum[:], data[:sha256.Size]) {
		return nil, errors.New("it is damaged: its checksum is wrong")
	}
	var message discoveryv3.DeltaDiscoveryResponse
	if err := proto.Unmarshal(data[sha256.Size:], &message); err != nil {
		return nil, err
	}
	var resources []*Resource
	for _, wire := range message.GetResources() {
		r := &Resource{Name: wire.GetName(), Version: wire.GetVersion(), Wire: wire}
		if wire.GetResource().GetTypeUrl() == resource.ExtensionConfigType {
			var err error
			if r.module, err = moduleOf(wire); err != nil {
				return nil, fmt.Errorf("filter %q: %w", r.Name, err)
			}
		}
		resources = append(resources, r)
	}
	s, err := assemble(fleetName, resources)
	if err != nil {
		return nil, err
	}
	if s.ID != message.GetSystemVersionInfo() {
		return nil, fmt.Errorf("it is named %s, and its content is that of %s", message.GetSystemVersionInfo(), s.ID)
	}
	return s, nil
}

// moduleOf is the digest of the module in a filter's resource.
func moduleOf(wire *discoveryv3.Resource) (string, error) {
	var config corev3.TypedExtensionConfig
	var wasm httpwasmv3.Wasm
	if err := wire.GetResource().UnmarshalTo(&config); err != nil {
		return "", err
	}
	if err := config.GetTypedConfig().UnmarshalTo(&wasm); err != nil {
		return "", err
	}
	return module.New(wasm.GetConfig().GetVmConfig().GetCode().GetLocal().GetInlineBytes()).Digest, nil
}
