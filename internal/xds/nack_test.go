package xds

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// refusing refuses one version of the filter, as an Envoy that can't load it:
// once. Sent the same again, Envoy accepts it while the old one runs on.
func refusing(bad *snapshot.Snapshot, refused *int) func(xdstest.Response) error {
	version := bad.Get(resource.ExtensionConfigType, "auth").Version
	whole := versionOf(map[string]string{"auth": version}) // as state-of-the-world says it
	return func(r xdstest.Response) error {
		if r.TypeURL == resource.ExtensionConfigType && (r.Resources["auth"] == version || r.Version == whole) {
			*refused++
			return errBad
		}
		return nil
	}
}

// refuses brings a proxy to a good revision, and has it refuse a bad one, for once or more.
func refuses(t *testing.T, sotw bool, good, bad *snapshot.Snapshot) (*harness, *xdstest.Proxy, *int) {
	t.Helper()
	h, times := serve(t, Limits{}), 0
	p := h.proxy("a", sotw, refusing(bad, &times))
	h.start(p, "a", good)
	h.Assign("a", bad)
	h.expect(Rejected, "a")
	return h, p, &times
}

func TestRejected(t *testing.T) {
	served(t, func(t *testing.T, h *harness, sotw bool) {
		good, bad := build(t, "echo", "module 1"), build(t, "echo", "module 2")
		refused := 0
		p := h.proxy("a", sotw, refusing(bad, &refused))
		h.start(p, "a", good)

		h.Assign("a", bad)
		e := h.expect(Rejected, "a")
		if e.Revision != bad.Pair || e.Message != errBad.Error() || e.Resource != "TypedExtensionConfig auth" {
			t.Errorf("rejected: %+v", e)
		}
		status := h.Proxies()[0]
		if !status.Halted || status.LastNACK == nil || status.LastNACK.Message != errBad.Error() || status.LastACK == nil {
			t.Errorf("status shows %+v", status)
		}

		// Not again: not on this stream, not on the next, whoever asks for it.
		h.Assign("a", bad)
		p.Close()
		h.expect(Disconnected, "a")
		h.connect(p)
		h.expect(Connected, "a")
		h.Assign("a", bad)

		// The good one is pushed again, though the proxy runs it: an Envoy that has
		// rejected a filter rejects later listeners until it is sent a good one.
		p.Close()
		h.expect(Disconnected, "a")
		h.start(p, "a", good)
		if refused != 1 {
			t.Errorf("the bad version was sent %d times", refused)
		}
	})
}

// On the stream that refused, going back is an explicit push.
func TestRollbackIsPushed(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		good, bad := build(t, "echo", "module 1"), build(t, "echo", "module 2")
		h, p, refused := refuses(t, sotw, good, bad)
		before := len(p.Responses())
		h.Assign("a", good)
		h.expect(Served, "a")
		check(t, "after the refusal", sent(p, before), []string{"TypedExtensionConfig auth"})
		if *refused != 1 {
			t.Errorf("the bad version was sent %d times", *refused)
		}
	})
}

// After a refusal nothing more of the revision is sent: a listener that follows
// a refused filter would be refused as well.
func TestRejectionHalts(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		good, bad := build(t, "old", "module 1"), build(t, "new", "module 2")
		h, p, _ := refuses(t, sotw, good, bad)
		for _, r := range sent(p, 3) {
			if strings.HasPrefix(r, "Listener") {
				t.Errorf("the listener was sent after the filter was refused: %q", sent(p, 3))
			}
		}
		h.Assign("a", good)
		h.expect(Served, "a")
		h.clusters(p, "old")
	})
}

// Two clusters that are refused in one response may both be at fault, or one. Once
// one of them is mended the other is sent with it, though its version is among
// those that were refused; both as they were are not sent again.
func TestRefusedTogether(t *testing.T) {
	served(t, func(t *testing.T, h *harness, sotw bool) {
		good, bad, mended := twoClusters(t, "1s", "1s"), twoClusters(t, "2s", "2s"), twoClusters(t, "3s", "2s")
		var refusing atomic.Bool
		p := h.proxy("a", sotw, func(r xdstest.Response) error {
			if r.TypeURL == resource.ClusterType && refusing.Load() {
				return errBad
			}
			return nil
		})
		h.start(p, "a", good)
		refusing.Store(true)
		h.Assign("a", bad)
		h.expect(Rejected, "a")
		refusing.Store(false)
		h.Assign("a", good)
		h.expect(Served, "a")
		h.Assign("a", mended)
		if e := h.expect(Served, "a"); e.Revision != mended.Pair {
			t.Fatalf("served %s, want %s", e.Revision, mended.ID)
		}
		before := len(p.Responses())
		h.Assign("a", bad)
		h.Assign("a", mended)
		h.expect(Served, "a")
		check(t, "of what was refused", sent(p, before), nil)
	})
}

// Of a response that it refuses an Envoy may have taken a part. What was in it is
// sent again with the next target, be it unchanged: the proxy has not accepted it.
func TestMendedAfterFirstRefusal(t *testing.T) {
	served(t, func(t *testing.T, h *harness, sotw bool) {
		var refusing atomic.Bool
		refusing.Store(true)
		p := h.proxy("a", sotw, func(r xdstest.Response) error {
			if r.TypeURL == resource.ClusterType && refusing.Load() {
				return errBad
			}
			return nil
		})
		h.connect(p)
		h.expect(Connected, "a")
		h.Assign("a", twoClusters(t, "2s", "2s"))
		h.expect(Rejected, "a")
		refusing.Store(false)
		h.Assign("a", nil) // nothing good to go back to
		before := len(p.Responses())
		mended := twoClusters(t, "3s", "2s")
		h.Assign("a", mended)
		if e := h.expect(Served, "a"); e.Revision != mended.Pair {
			t.Fatalf("served %s, want %s", e.Revision, mended.ID)
		}
		check(t, "after the refusal", sent(p, before)[:1], []string{"Cluster echo first second"})
	})
}

// Going back from a revision with a cluster more does not send that one along.
func TestRefusedClusterIsNotKept(t *testing.T) {
	served(t, func(t *testing.T, h *harness, sotw bool) {
		p := h.proxy("a", sotw, func(r xdstest.Response) error {
			if _, more := r.Resources["more"]; more {
				return errBad
			}
			return nil
		})
		good := twoClusters(t, "1s", "1s")
		h.start(p, "a", good)
		h.Assign("a", twoClusters(t, "2s", "1s", "more"))
		h.expect(Rejected, "a")
		h.Assign("a", good)
		if e := h.expect(Served, "a"); e.Revision != good.Pair {
			t.Fatalf("served %s, want %s", e.Revision, good.ID)
		}
		if _, has := p.Has(resource.ClusterType)["more"]; has {
			t.Error("the proxy has the cluster that it refused")
		}
	})
}

// twoClusters is a snapshot with the clusters "first" and "second", which differ
// in their timeouts, and perhaps more.
func twoClusters(t *testing.T, first, second string, more ...string) *snapshot.Snapshot {
	t.Helper()
	text := fmt.Sprintf(fleetYAML, "echo", "echo", "echo") + fmt.Sprintf(`
    - {name: first, connect_timeout: %s, type: STATIC, load_assignment: {cluster_name: first}}
    - {name: second, connect_timeout: %s, type: STATIC, load_assignment: {cluster_name: second}}
`, first, second)
	for _, name := range more {
		text += fmt.Sprintf("    - {name: %[1]s, type: STATIC, load_assignment: {cluster_name: %[1]s}}\n", name)
	}
	f, err := fleet.Parse("fleet.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.Build(f, map[string]*module.Module{"auth.wasm": module.New([]byte("module"))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A proxy upgraded in place may accept what its old version refused.
func TestUpgradedProxyIsAskedAgain(t *testing.T) {
	h := serve(t, Limits{})
	bad := build(t, "echo", "module 2")
	refused := 0
	node := xdstest.Node("a", "edge", nil)
	node.UserAgentName = "envoy"
	old := xdstest.New(xdstest.Config{
		Node: node, Judge: refusing(bad, &refused),
		Names: map[string][]string{resource.ExtensionConfigType: {"auth"}},
	})
	t.Cleanup(old.Close)
	h.connect(old)
	h.expect(Connected, "a")
	h.Assign("a", bad)
	h.expect(Rejected, "a")
	old.Close()
	h.expect(Disconnected, "a")
	h.start(h.proxy("a", false, nil), "a", bad)
}

// Two streams of one node: the newer one speaks for it.
func TestTwoStreamsOfOneNode(t *testing.T) {
	h := serve(t, Limits{})
	target := build(t, "echo", "module")
	first, second := h.proxy("a", false, nil), h.proxy("a", false, nil)
	h.start(first, "a", target)
	h.start(second, "a", target)
	if status := h.Proxies(); len(status) != 1 || status[0].Streams != 2 {
		t.Errorf("status %+v", status)
	}
	first.Close()
	second.Close()
	// The older ends without a word, or speaks again for a moment: then the node is gone.
	for e := h.next(); e.Kind != Disconnected; e = h.next() {
		if e.Kind == Rejected {
			t.Fatalf("event %+v", e)
		}
	}
}

// A refusal is shown until what was refused is taken after all, and not only until something else
// is served.
func TestRefusalIsShownUntilItIsTaken(t *testing.T) {
	variants(t, func(t *testing.T, sotw bool) {
		good, bad := build(t, "echo", "module 1"), build(t, "echo", "module 2")
		h, refused := serve(t, Limits{}), 0
		refuse := refusing(bad, &refused)
		p := h.proxy("a", sotw, func(r xdstest.Response) error {
			if refused > 0 {
				return nil
			}
			return refuse(r)
		})
		h.start(p, "a", good)
		h.Assign("a", bad)
		h.expect(Rejected, "a")
		h.Assign("a", good)
		h.expect(Served, "a")
		if h.Proxies()[0].LastNACK == nil {
			t.Error("what it refuses is not shown any more, and it is what was meant to be served")
		}
		h.Forgive("a")
		h.Assign("a", bad)
		h.expect(Served, "a")
		if nack := h.Proxies()[0].LastNACK; nack != nil {
			t.Errorf("it serves what it is said to have refused: %+v", nack)
		}
	})
}
