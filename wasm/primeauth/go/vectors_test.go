package main

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/waxwing-xds/waxwing/wasm/primeauth"
)

func TestVectors(t *testing.T) {
	vectors, refused, err := primeauth.Vectors()
	if err != nil {
		t.Fatal(err)
	}
	host, status := start(t, "")
	if status != types.OnPluginStartStatusOK {
		t.Fatal("the filter did not start")
	}
	for _, v := range vectors {
		headers := [][2]string{{":path", "/"}}
		for _, h := range v.Headers {
			headers = append(headers, [2]string{strings.ToLower(h[0]), h[1]}) // as a proxy does
		}
		id := host.InitializeHttpContext()
		host.CallOnRequestHeaders(id, headers, true)
		got := primeauth.Answer{Status: 200, Body: "Welcome to WASM land\n"}
		if local := host.GetSentLocalResponse(id); local != nil {
			got = primeauth.Answer{Status: int(local.StatusCode), Body: string(local.Data)}
		}
		if got != v.Answer {
			t.Errorf("%s: %.80q: %+v, want %+v", v.What, v.Headers, got, v.Answer)
		}
	}
	for _, r := range refused {
		if _, err := parseConfig([]byte(r.Config)); err == nil || err.Error() != "plugin configuration: "+r.Reason {
			t.Errorf("%s: %v, want %s", r.Config, err, r.Reason)
		}
	}
}

// A million numbers of all sizes.
func TestIsPrimeMillion(t *testing.T) {
	r := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	for range 1_000_000 {
		checkPrime(t, r.Uint64()>>r.UintN(64))
	}
}
