package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	httpwasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// Runtime is the only Wasm runtime in the stock Envoy binary.
const Runtime = "envoy.wasm.runtime.v8"

// Build makes the snapshot of a fleet that fleet.Parse returned. modules holds
// each of its modules by path.
func Build(f *fleet.Fleet, modules map[string]*module.Module) (*Snapshot, error) {
	b, upstream := builder{}, f.UpstreamNames()
	for _, filter := range f.Filters {
		m := modules[filter.Module]
		if m == nil {
			return nil, fmt.Errorf("filter %q: module %s was not loaded", filter.Name, filter.Module)
		}
		r, err := filterResource(filter, m)
		if err != nil {
			return nil, err
		}
		b.resources = append(b.resources, r)
		if name := upstream[filter.Name]; name != "" {
			if r, err = r.as(name); err != nil {
				return nil, fmt.Errorf("filter %q: %w", filter.Name, err)
			}
			b.resources = append(b.resources, r)
		}
	}
	resources, err := f.AsProxiesKnow()
	if err != nil {
		return nil, err
	}
	for _, r := range resources {
		m := r.Message
		if l, ok := m.(*listenerv3.Listener); ok {
			if m, err = bind(l, f.Filters); err != nil {
				return nil, err
			}
		}
		b.add(r.Kind.Type, r.Name, m)
	}
	if b.err != nil {
		return nil, b.err
	}
	return assemble(f.Name, b.resources, metaOf(f))
}

// builder collects resources up to the first error.
type builder struct {
	resources []*Resource
	err       error
}

func (b *builder) add(typeURL, name string, m proto.Message) {
	if b.err != nil {
		return
	}
	var r *Resource
	if r, b.err = newResource(typeURL, name, m); b.err == nil {
		b.resources = append(b.resources, r)
	}
}

// filterResource is the ECDS resource of a filter: Envoy's Wasm filter with the
// module inline, the one way of delivery whose acknowledgement means something.
func filterResource(f fleet.Filter, m *module.Module) (*Resource, error) {
	plugin := proto.CloneOf(f.Plugin)
	plugin.Name = f.Name
	vm := plugin.GetVmConfig()
	if vm == nil {
		vm = &wasmv3.VmConfig{}
		plugin.Vm = &wasmv3.PluginConfig_VmConfig{VmConfig: vm}
	}
	if vm.GetRuntime() == "" {
		vm.Runtime = Runtime
	}
	var err error
	if vm.VmId, err = vmID(plugin, m); err != nil {
		return nil, err
	}
	digest := m.Digest
	if f.Secret() { // a configuration that becomes a secret is not shown from then on
		digest += " secret"
	}
	version, err := filterVersion(plugin, digest)
	if err != nil {
		return nil, err
	}
	vm.Code = &corev3.AsyncDataSource{Specifier: &corev3.AsyncDataSource_Local{Local: &corev3.DataSource{
		Specifier: &corev3.DataSource_InlineBytes{InlineBytes: m.Bytes},
	}}}
	packed, err := packAny(&httpwasmv3.Wasm{Config: plugin})
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", f.Name, err)
	}
	value, err := proto.Marshal(&corev3.TypedExtensionConfig{Name: f.Name, TypedConfig: packed})
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", f.Name, err)
	}
	r := resourceOf(resource.ExtensionConfigType, f.Name, version, value)
	r.module, r.vm, r.open = m.Digest, vm.VmId, failsOpen(plugin)
	return r, nil
}

// as is a filter under another name: the same bytes but for that.
func (r *Resource) as(name string) (*Resource, error) {
	value, err := renamed(r.Wire.GetResource().GetValue(), name)
	if err != nil {
		return nil, err
	}
	own := resourceOf(r.typeURL(), name, r.Version, value)
	own.module, own.vm, own.open, own.secret = r.module, r.vm, r.open, r.secret
	return own, nil
}

func failsOpen(plugin *wasmv3.PluginConfig) bool {
	return plugin.GetFailurePolicy() == wasmv3.FailurePolicy_FAIL_OPEN || plugin.GetFailOpen() //nolint:staticcheck // deprecated, still taken
}

// filterVersion is the hash of a filter's content: of its configuration without
// the code, and of the code's digest. Megabytes are hashed once, when they are read.
func filterVersion(plugin *wasmv3.PluginConfig, digest string) (string, error) {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(plugin)
	if err != nil {
		return "", fmt.Errorf("filter %q: %w", plugin.GetName(), err)
	}
	return hashOf(append(text, digest...)), nil
}

// vmID names the VM that a filter runs in, from everything that makes a VM
// different: with the same id Envoy goes on with the VM it has (a change of only
// the plugin configuration compiles nothing), with another it makes a new one.
// The filter's name is part of it, so that two filters of one module don't share
// a VM: a trap in one would take the other with it.
func vmID(plugin *wasmv3.PluginConfig, m *module.Module) (string, error) {
	h := sha256.New()
	//nolint:staticcheck // deprecated, and what Envoys before 1.40 know
	capabilities := plugin.GetCapabilityRestrictionConfig()
	for _, part := range []proto.Message{plugin.GetVmConfig(), capabilities} {
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(part)
		if err != nil {
			return "", fmt.Errorf("filter %q: marshalling its VM configuration: %w", plugin.GetName(), err)
		}
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
		h.Write(text)
	}
	h.Write([]byte(m.Digest))
	return plugin.GetName() + "@" + hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// packAny packs deterministically, which anypb.New does not.
func packAny(m proto.Message) (*anypb.Any, error) {
	packed := &anypb.Any{}
	if err := anypb.MarshalFrom(packed, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		return nil, fmt.Errorf("packing %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return packed, nil
}
