package control

import (
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// Where there are several fleets, a command that is named is one that does it as it stands.
func TestCommandsNameTheirFleet(t *testing.T) {
	c, _ := twoFleets(t)
	c.saves(t, 1, map[string]string{"edge.yaml": strings.Replace(fileOfFleet("edge", "{cluster: edge}", 3), "percent: 100", "percent: 100, approve: manual", 1)})
	c.follow()
	h := c.waitsFor(c.fleets["edge"])
	if h == nil || h.Kind != rollout.WaitApproval || h.Do != "xds rollout promote --fleet edge" ||
		!strings.Contains(h.Text, "`"+h.Do+"`") || !strings.Contains(h.Text, "`xds rollout abort --fleet edge`") {
		t.Errorf("it waits for %+v", h)
	}
	err := c.carryOut(api.Command{Verb: rollout.Promote, By: "alice"}, nil)
	if err == nil || !strings.Contains(err.Error(), "edge, inner") {
		t.Errorf("which fleets there are is not said: %v", err)
	}
}
