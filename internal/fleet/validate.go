package fleet

import (
	"fmt"
	"regexp"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"go.yaml.in/yaml/v3"
)

// validate applies Envoy's own rules for its messages, as protoc-gen-validate
// wrote them into go-control-plane, and those that are only in its code, and looks
// for listeners that collide.
func (p *parser) validate() {
	for _, r := range p.placed {
		visit(r.msg, r.node, func(m proto.Message, n *yaml.Node, inAny bool) {
			if m == r.msg || inAny {
				p.rules(m, n)
			}
			p.refuse(m, n)
			if d, ok := m.(*durationpb.Duration); ok && !inAny {
				p.period(d, n)
			}
		})
		if a, ok := r.msg.(*endpointv3.ClusterLoadAssignment); ok {
			p.fixedEndpoints(a, r.node, "")
		}
	}
	p.addresses()
}

// rules reports what protoc-gen-validate finds in a message.
func (p *parser) rules(m proto.Message, n *yaml.Node) {
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			p.addRule(n, err)
		}
	}
}

// ruleError is what protoc-gen-validate makes of each broken rule: it names a
// field, and where the field holds a message its cause names a field of that.
type ruleError interface {
	Field() string
	Reason() string
	Cause() error
}

func (p *parser) addRule(n *yaml.Node, err error) {
	if several, ok := err.(interface{ AllErrors() []error }); ok {
		for _, one := range several.AllErrors() {
			p.addRule(n, one)
		}
		return
	}
	rule, ok := err.(ruleError)
	if !ok {
		p.add(n.Line, "%v", err)
		return
	}
	at, name := fieldNode(n, rule.Field())
	if rule.Cause() != nil {
		p.addRule(at, rule.Cause())
		return
	}
	p.add(at.Line, "%s: %s", name, rule.Reason())
}

var indexed = regexp.MustCompile(`^(\w+)\[(.*)\]$`)

// fieldNode finds the YAML value of a field that protoc-gen-validate names:
// "Address", "FilterChains[2]" or, in a map, "Metadata[key]". It returns the
// field's name in Envoy's spelling with it.
func fieldNode(n *yaml.Node, field string) (*yaml.Node, string) {
	m := indexed.FindStringSubmatch(field)
	if m == nil {
		return orElse(child(n, field), n), snake(field)
	}
	list := orElse(child(n, m[1]), n)
	name := fmt.Sprintf("%s[%s]", snake(m[1]), m[2])
	if i, err := strconv.Atoi(m[2]); err == nil && item(list, i) != nil {
		return item(list, i), name
	}
	return orElse(child(list, m[2]), list), name
}

// snake turns a Go field name into Envoy's: "FilterChains" into "filter_chains".
func snake(field string) string {
	var out []byte
	for i := range len(field) {
		c := field[i]
		if c >= 'A' && c <= 'Z' {
			if i > 0 {
				out = append(out, '_')
			}
			c |= 0x20
		}
		out = append(out, c)
	}
	return string(out)
}

// addresses reports listeners that would bind the same address.
func (p *parser) addresses() {
	taken := map[string]int{}
	for i, l := range p.fleet.Listeners {
		for _, b := range BindsOf(l) {
			at := &p.doc.Resources["listeners"][i]
			switch other, ok := taken[b.Name]; {
			case ok && other != i:
				p.add(lineOf(at, "address"), "listener %q: listener %q has the address %s already", l.GetName(), p.fleet.Listeners[other].GetName(), b.Name)
			case ok && b.Alone():
				p.add(lineOf(at, "additional_addresses"), "listener %q: it has the address %s twice: without enable_reuse_port Envoy can't open it again", l.GetName(), b.Name)
			}
			taken[b.Name] = i
		}
	}
}
