package snapshot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	httpwasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// metaType marks what is not a resource.
const metaType = "waxwing/meta"

// Encode writes the snapshot for the state directory: a checksum, then the
// resources marshalled as they are. What a restarted server sends is, to the
// byte and to the version, what its proxies have already.
func (s *Snapshot) Encode() ([]byte, error) {
	message := &discoveryv3.DeltaDiscoveryResponse{SystemVersionInfo: s.ID}
	for _, k := range fleet.Kinds {
		for _, r := range s.All(k.Type) {
			message.Resources = append(message.Resources, r.Wire)
		}
	}
	meta, err := writeMeta(s.Meta)
	if err != nil {
		return nil, fmt.Errorf("encoding revision %s: %w", s.ID, err)
	}
	message.Resources = append(message.Resources, &discoveryv3.Resource{Resource: &anypb.Any{TypeUrl: metaType, Value: meta}})
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
	var meta Meta
	for _, wire := range message.GetResources() {
		if wire.GetResource().GetTypeUrl() == metaType {
			var err error
			if meta, err = readMeta(wire.GetResource().GetValue()); err != nil {
				return nil, fmt.Errorf("how it is rolled out: %w", err)
			}
			continue
		}
		r := &Resource{Name: wire.GetName(), Version: wire.GetVersion(), Wire: wire}
		if wire.GetResource().GetTypeUrl() == resource.ExtensionConfigType {
			if err := r.readModule(); err != nil {
				return nil, fmt.Errorf("filter %q: %w", r.Name, err)
			}
		}
		resources = append(resources, r)
	}
	s, err := assemble(fleetName, resources, meta)
	if err != nil {
		return nil, err
	}
	if s.ID != message.GetSystemVersionInfo() {
		return nil, fmt.Errorf("it is named %s, and its content is that of %s", message.GetSystemVersionInfo(), s.ID)
	}
	return s, nil
}

// readModule reads what a filter's resource says of its module and its VM.
func (r *Resource) readModule() error {
	var config corev3.TypedExtensionConfig
	var wasm httpwasmv3.Wasm
	if err := r.Wire.GetResource().UnmarshalTo(&config); err != nil {
		return err
	}
	if !config.GetTypedConfig().MessageIs(&wasm) {
		return nil // an extension without a module
	}
	if err := config.GetTypedConfig().UnmarshalTo(&wasm); err != nil {
		return err
	}
	vm := wasm.GetConfig().GetVmConfig()
	r.module, r.vm = module.New(vm.GetCode().GetLocal().GetInlineBytes()).Digest, vm.GetVmId()
	r.open = failsOpen(wasm.GetConfig())
	return nil
}
