package e2e

import (
	"strings"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// fleetOptions are what tests change in a fleet file.
type fleetOptions = rig.Fleet

// fleetYAML is a fleet file with one listener, "ingress", and one filter, "gate",
// in front of the echo service.
func (w *world) fleetYAML(o fleetOptions) []byte {
	if o.Module == "" {
		o.Module = w.module
	}
	o.Service = w.echo.Address
	return o.YAML()
}

// service is where the echo service is.
func (w *world) service() (host, port string) {
	host, port, _ = strings.Cut(w.echo.Address, ":")
	return host, port
}
