package preflight

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// settings is Envoy's PluginConfig as a VM sees it.
type settings struct {
	name, rootID    string
	configuration   []byte // of the plugin
	vmConfiguration []byte
	environment     []string
	// capabilities are the host functions and callbacks that are allowed, without
	// their module's name; nil allows all.
	capabilities map[string]bool
	// stopIteration lets headers be held back while the body goes on.
	stopIteration bool
	// always are what calls get where a check says nothing of them, and tried those of
	// the checks, for calls that no check is under way for.
	always, tried []fleet.Callout
	notes         *notes // nil where nobody asks
}

// read takes a PluginConfig over. lookup finds what host_env_keys names.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/wasm/v3/wasm.proto
func read(p Plugin, lookup func(string) (string, bool)) (settings, error) {
	name, c := p.Name, p.Config
	vm := c.GetVmConfig()
	s := settings{name: name, rootID: c.GetRootId(), stopIteration: c.GetAllowOnHeadersStopIteration().GetValue(), always: p.Callouts}
	for _, check := range p.Checks {
		s.tried = append(s.tried, check.Callouts...)
	}
	var err, vmErr error
	s.configuration, err = content(c.GetConfiguration())
	s.vmConfiguration, vmErr = content(vm.GetConfiguration())
	if err := errors.Join(err, vmErr); err != nil {
		return settings{}, fmt.Errorf("reading its configuration: %w", err)
	}
	restriction := vm.GetCapabilityRestrictionConfig()
	if restriction == nil {
		//nolint:staticcheck // deprecated, and what Envoys before 1.40 know
		restriction = c.GetCapabilityRestrictionConfig()
	}
	for name := range restriction.GetAllowedCapabilities() {
		if s.capabilities == nil {
			s.capabilities = map[string]bool{}
		}
		s.capabilities[name] = true
	}
	s.environment, err = environment(vm.GetEnvironmentVariables(), lookup)
	return s, err
}

// content unwraps a configuration as Envoy's MessageUtil::anyToBytes does. Anything
// but a string or bytes, a Struct too, is given to the module in protobuf's encoding:
// seen on 1.40.0, whose documentation says that a Struct becomes JSON.
func content(packed *anypb.Any) ([]byte, error) {
	switch text, raw := (&wrapperspb.StringValue{}), (&wrapperspb.BytesValue{}); {
	case packed.MessageIs(text):
		err := packed.UnmarshalTo(text)
		return []byte(text.GetValue()), err
	case packed.MessageIs(raw):
		err := packed.UnmarshalTo(raw)
		return raw.GetValue(), err
	}
	return packed.GetValue(), nil
}

// environment lists the variables, as KEY=VALUE and sorted. A key of
// host_env_keys that has no value is left out, as Envoy does.
func environment(e *wasmv3.EnvironmentVariables, lookup func(string) (string, bool)) ([]string, error) {
	all := maps.Clone(e.GetKeyValues())
	for _, key := range e.GetHostEnvKeys() {
		if _, twice := e.GetKeyValues()[key]; twice {
			return nil, fmt.Errorf("environment variable %s is in key_values and in host_env_keys, which Envoy refuses", key)
		}
		if value, ok := lookup(key); ok {
			if all == nil {
				all = map[string]string{}
			}
			all[key] = value
		}
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		out = append(out, key+"="+all[key])
	}
	return out, nil
}
