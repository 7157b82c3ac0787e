//go:build broken

package main

// broken is what is wrong with this build, which Envoy accepts all the same:
// "allow", "deny" or "crash". Set by `make filter BREAK=…`.
var broken string

// crashEvery is how many requests a worker answers before it crashes. It is more
// than the sandbox asks, so that it takes a proxy's shadow listener to tell.
const crashEvery = 20

var requests int

func judged(v verdict) verdict {
	requests++
	switch broken {
	case "allow":
		return allowed
	case "deny":
		return missing
	case "crash":
		if requests%crashEvery == 0 {
			panic("broken on purpose")
		}
	}
	return v
}
