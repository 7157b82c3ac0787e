package xds

import (
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// slim drops what an Envoy says of itself at length and nobody here reads:
// its hundreds of extensions, some 50 KB for as long as it is connected.
func slim(node *corev3.Node) {
	node.Extensions = nil
	node.ClientFeatures = nil
	node.ListeningAddresses = nil //nolint:staticcheck // deprecated, still sent
}

// Version is the version of a proxy's software: "1.40.0".
func Version(node *corev3.Node) string {
	v := node.GetUserAgentBuildVersion().GetVersion()
	if v == nil {
		return node.GetUserAgentVersion()
	}
	return fmt.Sprintf("%d.%d.%d", v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
}

func softwareOf(node *corev3.Node) string { return node.GetUserAgentName() + " " + Version(node) }
