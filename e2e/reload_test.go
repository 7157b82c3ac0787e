package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// How often. A Go module takes the sandbox and the proxy seconds each time.
const reloads, configurations, reloadsOfGo = 20, 4, 3

// Rebuilt modules reach the proxies under load: no request fails, no connection
// is closed, each gets the new build and then no older one, the listener is left
// alone, and old VMs go away.
func TestReload(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		w.begins(w.fleetYAML(fleetOptions{}), gate(t, 0))
		proxies := w.proxies(3)
		l := w.startLoad(proxies, 2, "x-build")
		for n := 1; n <= reloads; n++ {
			save(t, w.module, gate(t, n))
			for _, p := range proxies {
				p.runs("x-build", build(n))
			}
			l.reaches(build(n))
			w.revisionAfter(n + 1) // one that is superseded goes back first
		}
		l.end()
		for _, p := range proxies {
			p.leftAlone()
			p.guards()
		}
	})
}

// The same with the Go module, whose compile takes a proxy's main thread for
// seconds, rebuilt by the Go compiler.
func TestReloadGo(t *testing.T) {
	w := begunGo(t, fleetOptions{Config: `{response_header: x-build}`}, primeauth(t, "B"))
	p := w.proxies(1)[0]
	l := w.startLoad([]*proxy{p}, 4, "none") // the builds take turns
	for n := range reloadsOfGo {
		version := []string{"A", "B"}[n%2]
		save(t, w.module, primeauth(t, version))
		p.runs("x-build", "primeauth/"+version)
	}
	l.end()
	p.leftAlone()
}

// leftAlone checks what a reload must not do to a proxy.
func (p *proxy) leftAlone() {
	p.w.t.Helper()
	mustEqual(p.w.t, p.Node+": listeners modified", p.stat("^listener_manager.listener_modified$"), 0)
	mustEqual(p.w.t, p.Node+": listeners draining", p.stat("^listener_manager.total_listeners_draining$"), 0)
	// One VM a worker, one for the main thread and one that the others are cloned
	// from. Those of the build before go when their last request has.
	p.w.eventually(p.Node+" holds the VMs of one build", func() error {
		if got := p.stat("^wasm.envoy.wasm.runtime.v8.active$"); got != 4 {
			return fmt.Errorf("%d VMs, want 4", got)
		}
		return nil
	})
}

// A change of the configuration alone reaches the proxies without a compile: of
// what a new module costs a proxy it takes a small part. (It makes VMs, in the
// shadow listener, of code that is compiled.)
func TestConfigurationChange(t *testing.T) {
	w := begunGo(t, fleetOptions{Config: `{header: token}`}, primeauth(t, "A"))
	p := w.proxies(1)[0]
	l := w.startLoad([]*proxy{p}, 2, "none")
	change := func(n int) {
		header := fmt.Sprintf("x-filter-%d", n)
		write(t, w.fleet, w.fleetYAML(fleetOptions{Config: fmt.Sprintf(`{header: token, response_header: %s}`, header)}))
		p.runs(header, "primeauth/A")
		w.revisionAfter(n + 2)
	}
	for n := range configurations {
		change(n)
	}
	l.end()
	p.leftAlone()
	begin := p.cpu()
	change(configurations)
	configured := p.cpu()
	save(t, w.module, primeauth(t, "B"))
	p.runs(fmt.Sprintf("x-filter-%d", configurations), "primeauth/B")
	w.revisionAfter(configurations + 3)
	compiled := p.cpu()
	if configuration, module := configured-begin, compiled-configured; 3*configuration > module {
		t.Errorf("a configuration took %d ticks of CPU, and a module %d", configuration, module)
	}
}

// cpu is what the proxy has used, in clock ticks.
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func (p *proxy) cpu() int {
	p.w.t.Helper()
	text := string(read(p.w.t, fmt.Sprintf("/proc/%d/stat", p.PID())))
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // from the third on
	sum := 0
	for _, field := range fields[14-3 : 16-3] { // in user mode, in kernel mode
		n, err := strconv.Atoi(field)
		if err != nil {
			p.w.t.Fatal(err)
		}
		sum += n
	}
	return sum
}
