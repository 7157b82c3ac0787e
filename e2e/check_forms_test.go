package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// formsThatHold is a check of each form that a proxy can be asked, of edits.wat.
const formsThatHold = `
      - {request: {headers: {deny: "1"}}, expect: {status: 4xx, body: Access forbidden.}}
      - {request: {headers: {deny: "1"}}, expect: {status: [200, 403], body: {contains: [Access, forbidden], matches: "^Acc"}, headers: {content-type: text/plain}}}
      - {name: a body, request: {body: good}, expect: {status: 200}}
      - {request: {body: {base64: YmFk}}, expect: {status: 403, body: {contains: forbidden}}}
      - {request: {method: PUT, body: {bytes: "\xff\x00"}}, expect: {status: 200}}
      - {request: {headers: {token: "7", tier: base}}, expect: {upstream: {headers: {x-user: alice, token: {absent: true}, tier: {changed: true}, ":path": {prefix: /}}}}}
      - {where: [sandbox, shadow], reason: the service says something else, request: {}, upstream: {status: 418, headers: {x-up: a}, body: "short\0stout"}, expect: {status: 418, body: "short\0stout", headers: {x-up: a}}}
      - {request: {headers: {token: {bytes: "\xe9"}}}, expect: {status: 200, upstream: {headers: {token: {absent: true}}}}}
      - {request: {headers: {tier: base}}, expect: {status: 200, within: 1s}, timeout: 3s}`

// formsThatFail are checks that a shadow listener shows to be wrong, each with what is said of it.
var formsThatFail = []struct{ check, said string }{
	{`{request: {headers: {deny: "1"}}, expect: {status: 403, body: {contains: welcome}}}`, "not with the body that is expected"},
	{`{request: {body: bad}, expect: {status: 200}}`, "it was answered 403"},
	{`{request: {}, expect: {upstream: {headers: {x-user: {matches: "b.*"}}}}}`, "the service would not see what it is to see"},
	{`{request: {headers: {token: "7"}}, expect: {upstream: {headers: {token: {present: true}}}}}`, "the service would not see what it is to see"},
	{`{request: {headers: {tier: gold}}, expect: {upstream: {headers: {tier: {changed: true}}}}}`, "the service would not see what it is to see"},
	{`{request: {}, expect: {status: 5xx}}`, "it was answered 200"},
}

// What a check says is asked of a proxy where its health checks can, and shows what does not
// hold; what they can't ask is said, with the reason.
func TestFormsOfChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text, err := os.ReadFile("testdata/edits.wat")
	if err != nil {
		t.Fatal(err)
	}
	module, err := rig.Assemble(string(text))
	if err != nil {
		t.Fatal(err)
	}
	fleet := func(checks string) []byte {
		return w.fleetYAML(fleetOptions{Checks: checks, Rollout: "{prove: 300ms, stages: [{name: all, percent: 100, bake: 500ms}]}"})
	}
	w.begins(fleet(formsThatHold), module)
	p := w.startProxy("edge-0")
	w.servingRevision(1)
	for _, e := range w.history() {
		if e.Kind == api.EventRejected {
			t.Fatalf("rejected: %+v", e)
		}
	}
	p.serves(w.revisionAfter(1))
	status, err := w.status()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"check gate#2: not looked at in shadow: the headers of the answer, all that is said of the body of the answer",
		"check gate#6: not looked at in live: what the service sees",
		"check gate#7: not asked in live: the service says something else",
	} {
		if !slices.Contains(status.Fleets[0].Unproven, want) {
			t.Errorf("status does not say %q, but %q", want, status.Fleets[0].Unproven)
		}
	}
	for i, c := range formsThatFail {
		save(t, w.module, rig.WithSection(module, "try", []byte{byte(i)}))
		save(t, w.fleet, fleet("\n      - "+strings.Replace(c.check, "{", "{where: [shadow], ", 1)))
		w.eventually("rejected: "+c.check, func() error {
			var rejected []string
			for _, e := range w.history() {
				if e.Kind == api.EventRejected {
					rejected = append(rejected, e.Reason)
				}
			}
			if len(rejected) != i+1 || !strings.Contains(rejected[i], c.said) {
				return fmt.Errorf("rejected: %q", rejected)
			}
			return nil
		})
	}
}
