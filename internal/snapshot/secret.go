package snapshot

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	httpwasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Secret reports whether nobody is shown the configuration of a filter.
func (r *Resource) Secret() bool { return r.secret }

// Hide gives what a proxy says of resources without the configurations among them that are
// secrets: Envoys quote what they refuse.
func Hide(of []*Resource, text string) string {
	var secrets [][]byte
	for _, r := range of {
		if r == nil || !r.secret {
			continue
		}
		config, err := r.Plugin()
		if err != nil {
			return fleet.Hidden // it is not known what it is without
		}
		secrets = append(secrets, contentOf(config.GetConfiguration()))
	}
	return fleet.NewHider(secrets...).Hide(text)
}

// Plugin is the PluginConfig of a filter that has a module.
func (r *Resource) Plugin() (*wasmv3.PluginConfig, error) {
	var config corev3.TypedExtensionConfig
	var wasm httpwasmv3.Wasm
	err := r.Wire.GetResource().UnmarshalTo(&config)
	if err == nil {
		err = config.GetTypedConfig().UnmarshalTo(&wasm)
	}
	if err != nil {
		return nil, fmt.Errorf("reading filter %q: %w", r.Name, err)
	}
	return wasm.GetConfig(), nil
}

// contentOf is what a module is given of a configuration.
func contentOf(packed *anypb.Any) []byte {
	text, raw := &wrapperspb.StringValue{}, &wrapperspb.BytesValue{}
	switch {
	case packed.MessageIs(text) && packed.UnmarshalTo(text) == nil:
		return []byte(text.GetValue())
	case packed.MessageIs(raw) && packed.UnmarshalTo(raw) == nil:
		return raw.GetValue()
	}
	return packed.GetValue()
}

// conceal says what two filters' configurations are shown as where one of them is a secret: the
// other may have the same, from before it was one. nil: as they are.
func conceal(before, after *Resource) func(*wasmv3.PluginConfig) error {
	if (before == nil || !before.secret) && (after == nil || !after.secret) {
		return nil
	}
	var first []byte
	asked := false
	return func(c *wasmv3.PluginConfig) error {
		text, content := "(secret)", contentOf(c.GetConfiguration())
		if asked && !bytes.Equal(first, content) {
			text = "(secret, another one)"
		}
		first, asked = content, true
		packed, err := packAny(wrapperspb.String(text))
		c.Configuration = packed
		return err
	}
}

func showConfig(config *corev3.TypedExtensionConfig, shown func(*wasmv3.PluginConfig) error) error {
	var wasm httpwasmv3.Wasm
	if err := config.GetTypedConfig().UnmarshalTo(&wasm); err != nil {
		return fmt.Errorf("reading filter %q: %w", config.GetName(), err)
	}
	if err := shown(wasm.GetConfig()); err != nil {
		return err
	}
	packed, err := packAny(&wasm)
	config.TypedConfig = packed
	return err
}
