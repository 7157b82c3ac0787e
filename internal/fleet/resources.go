package fleet

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"go.yaml.in/yaml/v3"
)

// sections are the lists under `resources`, by name: one for each kind that has one.
type sections map[string]oneOrMore

// UnmarshalYAML reads them, and refuses one that no kind has in the words in which
// the YAML library does.
func (s *sections) UnmarshalYAML(n *yaml.Node) error {
	known := map[string]bool{}
	for _, k := range Kinds {
		known[k.Section] = k.Section != ""
	}
	n = resolve(n)
	wrong := &yaml.TypeError{}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; !known[key.Value] && !key.IsZero() && key.Tag != "!!merge" && key.Tag != ignoreTag {
			wrong.Errors = append(wrong.Errors, fmt.Sprintf("line %d: field %s not found in type fleet.sections", key.Line, key.Value))
		}
	}
	if len(wrong.Errors) > 0 {
		return wrong
	}
	lists := map[string]oneOrMore{}
	if err := n.Decode(&lists); err != nil {
		return err
	}
	*s = lists
	return nil
}

// oneOrMore is a list; one value that is none is the list of it, as in all of Envoy's
// configuration.
type oneOrMore []yaml.Node

// UnmarshalYAML reads it.
func (o *oneOrMore) UnmarshalYAML(n *yaml.Node) error {
	if n = resolve(n); n.Kind == yaml.MappingNode {
		*o = oneOrMore{*n}
		return nil
	}
	return n.Decode((*[]yaml.Node)(o))
}

// placed is an Envoy resource and where it was written.
type placed struct {
	kind *Kind
	name string
	msg  proto.Message
	node *yaml.Node
}

func (p *parser) resources() {
	for _, k := range Kinds {
		p.section(k)
	}
	if len(p.fleet.Listeners) == 0 && len(p.list) == 0 {
		// An update without listeners would take the fleet's proxies off the network.
		p.add(lineOf(p.root, "resources"), "the fleet has no listener under resources.listeners")
	}
}

// section reads all resources of one kind. Each is read by itself, so that one run
// reports an error in each of them.
func (p *parser) section(k *Kind) {
	nodes, seen := p.doc.Resources[k.Section], map[string]bool{}
	for i := range nodes {
		n, msg := &nodes[i], k.new()
		if !p.message(n, msg) {
			continue
		}
		name := k.NameOf(msg)
		switch {
		case name == "":
			p.add(n.Line, "%s %d has no name", k.Name, i+1)
		case strings.HasPrefix(name, reserved):
			p.add(lineOf(n, string(k.NameField)), "%s %q: names that begin with %s are the server's own", k.Name, name, reserved)
		case seen[name]:
			p.add(n.Line, "%s %q is defined twice", k.Name, name)
		}
		seen[name] = true
		p.fleet.Resources = append(p.fleet.Resources, Resource{k, name, msg, n.Line})
		if l, ok := msg.(*listenerv3.Listener); ok {
			p.fleet.Listeners = append(p.fleet.Listeners, l)
		}
		p.placed = append(p.placed, placed{kind: k, name: name, msg: msg, node: n})
	}
}

// defined lists the names of each kind.
func (p *parser) defined() map[*Kind]map[string]bool {
	names := map[*Kind]map[string]bool{}
	for _, k := range Kinds {
		names[k] = map[string]bool{}
	}
	for _, r := range p.placed {
		names[r.kind][r.name] = true
	}
	return names
}
