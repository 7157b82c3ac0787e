package rollout

import "fmt"

// crashed are requests and configurations that found a VM crashed, as Envoy counts them.
var crashed = &source{
	name: "crashes", byRequests: true,
	against: func(_ *step, _ string, c Counters, _ Plan) charge {
		switch {
		case c.Crashes > 0:
			return charge{evidence: CrashedVMs, reason: many(c.Crashes) + " found their Wasm VM crashed"}
		case c.ConfigFails > 0:
			return charge{evidence: CrashedVMs, reason: fmt.Sprintf("%d configurations could not be applied", c.ConfigFails)}
		}
		return charge{}
	},
}

// missing are VMs that should be alive, and are not.
var missing = &source{
	name: "VMs",
	against: func(s *step, node string, c Counters, _ Plan) charge {
		return charge{evidence: CrashedVMs, reason: s.fewVMs(&s.proxies[node].traffic, c)}
	},
	over: func(c Counters) bool { return c.VMs >= c.WantVMs && c.WantVMs > 0 },
}

// fewVMs tells of a filter that starts on the main thread and fails on workers:
// what these do then depends on Envoy's version, and none of it is logged.
func (s *step) fewVMs(t *traffic, c Counters) string {
	if !t.hadVMs || c.WantVMs == 0 || c.VMs >= c.WantVMs {
		t.fewVMs = 0
		return ""
	}
	if t.fewVMs++; t.fewVMs < 2 {
		return ""
	}
	return fmt.Sprintf("%d Wasm VMs are alive, and should be %d (workers + 2 for each filter held)", c.VMs, c.WantVMs)
}
