// Command fleet measures what ten thousand proxies cost a server: how long a push
// takes to each of them, and what processor time, memory and bytes, beside a floor
// (a gRPC server that writes the same bytes and does nothing else) and
// go-control-plane's own caches. Each server is a process of its own, and so are
// its simulated proxies, which have a TCP connection each. All servers are up at
// once and take turns, push by push, so that a machine that drifts does so for
// all. Run by `make bench-fleet`.
package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

func main() { rig.Main("bench-fleet", run) }

func run(ctx context.Context) error {
	role := flag.String("role", "", "be one of the benchmark's own processes: server or proxies")
	side := flag.String("side", "", "with -role server: which server")
	listen := flag.String("listen", "127.0.0.1:0", "with -role server: address")
	profile := flag.String("profile", "", "with -role server: folder for profiles; else: passed on to our server")
	secure := flag.String("certificates", "", "with -role server: folder of certificates, for mutual TLS; else plain text")
	var o options
	flag.StringVar(&o.module, "module", "wasm/primeauth/primeauth.wasm", "module to push")
	flag.IntVar(&o.pushes, "pushes", 7, "pushes of a module that count, of each case (eight times as many of a configuration); one more is not counted; 0: none")
	flag.Func("sizes", "numbers of proxies, largest last (default 1,100,1000,10000)", func(s string) error { return ints(s, &o.sizes) })
	flag.IntVar(&o.moduleMost, "module-most", 1000, "largest number of proxies to push a module to")
	flag.Func("sides", "servers to measure (default waxwing,floor,snapshot,linear)", func(s string) error {
		o.sides = strings.Split(s, ",")
		return nil
	})
	flag.BoolVar(&o.whole, "whole", true, "measure bin/xds as a whole as well: connecting, memory, restart, a save, a rollout")
	flag.BoolVar(&o.evidence, "evidence", true, "measure bin/xds while proxies give evidence as well")
	flag.BoolVar(&o.tls, "tls", true, "measure mutual TLS beside plain text as well")
	flag.Parse()
	switch *role {
	case "server":
		return serve(ctx, serving{side: *side, address: *listen, profiles: *profile, certificates: *secure})
	case "proxies":
		return simulate(ctx)
	}
	o.profile = *profile
	if o.sizes == nil {
		o.sizes = []int{1, 100, 1000, 10000}
	}
	if o.sides == nil {
		o.sides = []string{sideOurs, sideFloor, sideSnapshot, sideLinear}
	}
	begin := time.Now()
	defer func() { fmt.Printf("\nthe whole run took %s\n", time.Since(begin).Round(time.Second)) }()
	return o.measure(ctx)
}

func ints(s string, out *[]int) error {
	for _, word := range strings.Split(s, ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		*out = append(*out, n)
	}
	return nil
}
