package rollout

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Each file of testdata is a story: what happens, and what the fleet does about
// it. `go test ./internal/rollout -rewrite` writes the answers anew.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		f := &Fleet{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "restart":
				return restart(t, f)
			case "target":
				if id := f.Target("any"); id != "" {
					return id + "\n"
				}
				return "nothing\n"
			}
			var out strings.Builder
			for _, effect := range f.Step(event(t, d), epoch) {
				fmt.Fprintln(&out, describe(effect))
			}
			if out.Len() == 0 {
				return "nothing\n"
			}
			return out.String()
		})
	})
}

// event reads a command: "offer ID", "join NODE", "serve NODE ID", …
func event(t *testing.T, d *datadriven.TestData) Event {
	t.Helper()
	arg := func(i int) string {
		if i >= len(d.CmdArgs) {
			d.Fatalf(t, "%s needs more words", d.Cmd)
		}
		return d.CmdArgs[i].Key
	}
	switch d.Cmd {
	case "offer":
		return Offered{arg(0)}
	case "store":
		return Stored{arg(0)}
	case "join":
		return Joined{arg(0)}
	case "leave":
		return Left{arg(0)}
	case "serve":
		return Served{arg(0), arg(1)}
	case "refuse":
		return Refused{arg(0), arg(1), "it does not load"}
	}
	d.Fatalf(t, "unknown command %s", d.Cmd)
	return nil
}

func describe(e Effect) string {
	switch e := e.(type) {
	case Save:
		return "save"
	case Retarget:
		return "retarget all"
	case Assign:
		return "assign " + e.Node
	case Tell:
		text := fmt.Sprintf("tell: revision %d (%s) %s", e.Revision.Number, e.Revision.ID, e.Kind)
		if e.Node != "" {
			text += fmt.Sprintf(": %s says %s", e.Node, e.Reason)
		}
		return text
	}
	return fmt.Sprintf("%#v", e)
}

// restart keeps of a fleet what a restart of the server keeps.
func restart(t *testing.T, f *Fleet) string {
	t.Helper()
	saved, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	*f = Fleet{}
	if err := json.Unmarshal(saved, f); err != nil {
		t.Fatal(err)
	}
	return string(saved) + "\n"
}

// Whatever happens, in whatever order: a rejected revision is no one's target,
// the last good one was accepted by every proxy at once, and is a target again
// as soon as a candidate fails.
func TestInvariants(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		f := &Fleet{}
		connected := map[string]string{} // a model of what each proxy runs
		for range 200 {
			node, id := fmt.Sprint("p", r.IntN(4)), fmt.Sprint("r", r.IntN(8))
			before := f.Serving
			switch r.IntN(6) {
			case 0:
				f.Step(Offered{id}, epoch)
			case 5:
				f.Step(Stored{id}, epoch)
			case 1:
				connected[node] = ""
				f.Step(Joined{node}, epoch)
			case 2:
				delete(connected, node)
				f.Step(Left{node}, epoch)
			case 3:
				if _, ok := connected[node]; ok {
					connected[node] = id
				}
				f.Step(Served{node, id}, epoch)
			case 4:
				f.Step(Refused{node, id, ""}, epoch)
			}
			for _, rejected := range f.Rejected {
				if f.Target("p0") == rejected.ID {
					t.Fatalf("seed %d: rejected revision %s is a target", seed, rejected.ID)
				}
			}
			if f.Candidate.ID == "" && f.Target("p0") != f.Serving.ID {
				t.Fatalf("seed %d: nothing is tried, and the target is not what is served", seed)
			}
			if f.Serving != before {
				for node, id := range connected {
					if id != f.Serving.ID {
						t.Fatalf("seed %d: %s became good while %s runs %q", seed, f.Serving.ID, node, id)
					}
				}
				if len(connected) == 0 {
					t.Fatalf("seed %d: %s became good with no proxy", seed, f.Serving.ID)
				}
			}
		}
	}
}
