package fleet

import (
	"google.golang.org/protobuf/proto"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"go.yaml.in/yaml/v3"
)

// longestAnswer is how many bytes the body of a direct_response may have where a route
// configuration says nothing.
const longestAnswer = 4096

// answers reports bodies that are longer than the route configuration lets them be; with a limit
// of 0 there is none. What is in a file only the proxy sees.
func (p *parser) answers(c *routev3.RouteConfiguration, n *yaml.Node) {
	most := uint64(longestAnswer)
	if v := c.GetMaxDirectResponseBodySizeBytes(); v != nil {
		most = uint64(v.GetValue())
	}
	visit(c, n, func(m proto.Message, n *yaml.Node, _ bool) {
		r, ok := m.(*routev3.Route)
		if !ok {
			return
		}
		if length := uint64(len(inline(r.GetDirectResponse().GetBody()))); most > 0 && length > most {
			p.add(lineOf(n, "direct_response", "body"), "direct_response: the body has %d bytes, and the route configuration lets it have %d (max_direct_response_body_size_bytes)", length, most)
		}
	})
}
