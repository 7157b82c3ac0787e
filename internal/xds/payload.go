package xds

import (
	"encoding/hex"

	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// maxLooked bounds how much of an answer's body a proxy looks at, in bytes.
const maxLooked = 64 << 10

// bodies puts into a health check what it sends, and what it looks for in the answer. Envoys
// before 1.36 send nothing.
func bodies(check *corev3.HealthCheck_HttpHealthCheck, c fleet.Check) {
	if c.Body != "" {
		check.Send = payload(c.Body)
	}
	total := 0
	for _, part := range c.Holds() {
		check.Receive = append(check.Receive, payload(part))
		total += len(part)
	}
	if total > 0 {
		// Envoy aborts for a buffer that what is looked for does not fit into.
		check.ResponseBufferSize = wrapperspb.UInt64(uint64(max(maxLooked, 2*total)))
	}
}

// payload is bytes in the form that all Envoys know.
func payload(o fleet.Octets) *corev3.HealthCheck_Payload {
	return &corev3.HealthCheck_Payload{Payload: &corev3.HealthCheck_Payload_Text{Text: hex.EncodeToString([]byte(o))}}
}
