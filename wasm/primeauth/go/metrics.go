package main

import "github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"

// metrics count the verdicts: wasmcustom.primeauth.allowed, …exempt and
// …denied.REASON among the proxy's statistics.
type metrics [verdicts]proxywasm.MetricCounter

func defineMetrics() (m metrics) {
	for v := range verdicts {
		name := "primeauth."
		if v.denied() {
			name += "denied."
		}
		m[v] = proxywasm.DefineCounterMetric(name + v.String())
	}
	return m
}
