package e2e

import (
	"cmp"
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
	if !w.Answers {
		o.Rollout = withoutAnswers(o.Rollout)
	}
	return o.YAML()
}

// withoutAnswers is a rollout that does not judge what users are answered, unless it has limits of
// its own: a fleet of one proxy waits at each change until it is known what it answered before.
func withoutAnswers(rollout string) string {
	rollout = cmp.Or(rollout, "{stages: [{name: all, percent: 100, bake: 0s}]}")
	if strings.Contains(rollout, "limits:") || !strings.HasSuffix(rollout, "}") {
		return rollout
	}
	return strings.TrimSuffix(rollout, "}") + ", limits: {answers: off}}"
}

// service is where the echo service is.
func (w *world) service() (host, port string) {
	host, port, _ = strings.Cut(w.echo.Address, ":")
	return host, port
}
