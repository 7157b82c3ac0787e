package fleet

import (
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	"go.yaml.in/yaml/v3"
)

// AsksOthers is whether a message, or anything in it, has a proxy ask another than this server for
// something that it waits for before it is warm: another management server, a file, a server of keys.
func AsksOthers(m proto.Message) bool {
	asks := false
	visit(m, nil, func(m proto.Message, _ *yaml.Node, _ bool) {
		switch m := m.(type) {
		case *corev3.ConfigSource:
			asks = asks || m.GetConfigSourceSpecifier() != nil && !isADS(m)
		case *jwtv3.JwksAsyncFetch:
			asks = asks || !m.GetFastListener()
		}
	})
	return asks
}
