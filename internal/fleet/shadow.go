package fleet

import (
	"slices"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"

	"go.yaml.in/yaml/v3"
)

// Shadow says which HTTP filters of the listeners, beside those of the fleet file, stand in
// the shadow listeners, where something else than their type is to decide. It is stored with
// the revision.
type Shadow struct {
	Keep     []string `json:"keep,omitempty"`      // these do
	LeaveOut []string `json:"leave_out,omitempty"` // these do not
}

type shadowDocument struct {
	Keep     []at[string] `yaml:"keep"`
	LeaveOut []at[string] `yaml:"leave_out"`
}

// shadow reads the names; that they are some is known when the listeners are.
func (p *parser) shadow() {
	for _, name := range p.doc.Shadow.Keep {
		p.fleet.Shadow.Keep = append(p.fleet.Shadow.Keep, name.value)
	}
	for _, name := range p.doc.Shadow.LeaveOut {
		p.fleet.Shadow.LeaveOut = append(p.fleet.Shadow.LeaveOut, name.value)
	}
}

// neighbours reports names under `shadow` that no listener has, or that are not its to say.
func (p *parser) neighbours() {
	said := slices.Concat(p.doc.Shadow.Keep, p.doc.Shadow.LeaveOut)
	if len(said) == 0 {
		return
	}
	names := p.filterNames()
	for _, name := range said {
		switch {
		case slices.ContainsFunc(p.fleet.Filters, func(f Filter) bool { return f.Name == name.value }):
			p.add(name.line, "shadow: %q is a filter of this file: `shadow: false` beside its name leaves it out", name.value)
		case !names[name.value]:
			p.add(name.line, "shadow: no listener has an HTTP filter %q", name.value)
		}
	}
	for _, name := range p.doc.Shadow.LeaveOut {
		if slices.Contains(p.fleet.Shadow.Keep, name.value) {
			p.add(name.line, "shadow: %q is both kept and left out", name.value)
		}
	}
}

// filterNames are the names of all HTTP filters of the listeners.
func (p *parser) filterNames() map[string]bool {
	names := map[string]bool{}
	for _, l := range p.fleet.Listeners {
		visit(l, nil, func(m proto.Message, _ *yaml.Node, _ bool) {
			if f, ok := m.(*hcmv3.HttpFilter); ok {
				names[f.GetName()] = true
			}
		})
	}
	return names
}
