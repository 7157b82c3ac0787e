package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/envoy"
)

// twins are a fleet for all proxies, and another one, with a listener of another name, for
// those of the tier "blue"; and a process of each, with one node id.
func twins(t *testing.T, change ...func(*world)) (w *world, plain, blue *proxy) {
	t.Helper()
	w = newWorld(t)
	for _, c := range change {
		c(w)
	}
	mkdir(t, fmt.Sprintf("%s/fleets", w.dir))
	write(t, w.module, gate(t, 1))
	write(t, w.file("edge"), w.fleetYAML(fleetOptions{Rollout: prompt, Checks: checks}))
	write(t, w.file("blue"), w.blueYAML(101))
	w.startServer()
	plain, blue = w.newProxy("edge-0"), w.newProxy("edge-0")
	blue.options.Labels, blue.options.Listen = map[string]string{"tier": "blue"}, map[string]string{"blue": blue.address}
	return w, plain, blue
}

func (w *world) blueYAML(build int) []byte {
	o := fleetOptions{Name: "blue", Match: "{cluster: edge, labels: {tier: blue}}", Rollout: prompt, Checks: checks}
	o.Module = w.moduleFile(fmt.Sprint("blue-", build), gate(w.t, build))
	return []byte(strings.ReplaceAll(string(w.fleetYAML(o)), "ingress", "blue"))
}

// twinsSaid waits until the status says of a process with which labels others have its id.
func (w *world) twinsSaid(streams int) {
	w.t.Helper()
	w.eventually("the status says which labels each process has", func() error {
		s, err := w.status()
		if err != nil {
			return err
		}
		for _, p := range s.Proxies {
			if !strings.Contains(p.Twins, "edge-0 has {cluster: edge") || !strings.Contains(p.Twins, "label.tier: blue}") {
				return fmt.Errorf("of %s it says %q", p.Node, p.Twins)
			}
		}
		if len(s.Proxies) != streams {
			return errors.New("not all are there")
		}
		return nil
	})
}

// untouched checks that nothing was rejected in any fleet.
func (w *world) untouched() {
	w.t.Helper()
	s, err := w.status()
	for _, f := range s.Fleets {
		if len(f.Rejected) > 0 {
			err = fmt.Errorf("fleet %s rejected %+v", f.Fleet, f.Rejected)
		}
	}
	if err != nil {
		w.t.Error(err)
	}
}

// Two processes with one node id and different labels are of the fleets of their own labels,
// and each keeps what it serves: whichever comes first and whichever leaves first, over a
// restart of the server and through rollouts of both fleets.
func TestOneIDWithOtherLabels(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"plain first", "blue first"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			variants(t, func(t *testing.T, sotw bool) {
				w, plain, blue := twins(t, func(w *world) { w.Variant = sotw })
				first, second := plain, blue
				wants := map[*proxy]int{plain: 1, blue: 101}
				if order == "blue first" {
					first, second = blue, plain
				}
				start := func(p *proxy) {
					p.start(func(o *envoy.Options) { o.Dir = t.TempDir() })
					p.runs("x-build", build(wants[p]))
				}
				start(first)
				l := w.startLoad([]*proxy{first}, 2, "")
				start(second)
				w.twinsSaid(2)
				both := w.startLoad([]*proxy{second}, 2, "")

				w.crashServer()
				w.twinsSaid(2)
				save(t, w.module, gate(t, 2))
				plain.runs("x-build", build(2))
				save(t, w.file("blue"), w.blueYAML(102))
				blue.runs("x-build", build(102))
				wants[plain], wants[blue] = 2, 102
				l.unharmed(t)
				first.Stop()
				save(t, w.module, gate(t, 3))
				save(t, w.file("blue"), w.blueYAML(103))
				wants[plain], wants[blue] = 3, 103
				second.runs("x-build", build(wants[second]))
				start(first) // it comes back beside the other
				w.twinsSaid(2)
				both.unharmed(t)
				w.untouched()
			})
		})
	}
}

// A process that is started anew with other labels, after the one before has ended, is no twin.
func TestRelabelled(t *testing.T) {
	t.Parallel()
	w, plain, blue := twins(t)
	plain.start()
	plain.runs("x-build", build(1))
	plain.Stop()
	w.eventually("it has left", func() error {
		s, err := w.status()
		if err == nil && len(s.Proxies) > 0 {
			err = errors.New("it is there")
		}
		return err
	})
	blue.start(func(o *envoy.Options) { o.Dir = t.TempDir() })
	blue.isOfWith("blue", 101)
}
