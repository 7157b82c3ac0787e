package main

import (
	"context"
	"errors"

	"github.com/waxwing-xds/waxwing/bench/gauge"
)

// connect brings one proxy up, on which the revision proves good, and then all.
func (w *whole) connect(ctx context.Context) (connected, error) {
	one, err := start(ctx, "-role", "proxies")
	if err != nil {
		return connected{}, err
	}
	defer one.Kill()
	if _, err := one.tell(command{Do: "connect", Kind: w.kind, N: 1, Address: w.server.Listen, Whole: true}); err != nil {
		return connected{}, err
	}
	if err := w.serving(ctx, 1); err != nil {
		return connected{}, err
	}
	one.Kill()
	return w.connectAll(ctx, func(m gauge.Metrics) bool { return m.AtRest("edge", w.n) })
}

// connectAll connects all proxies at once, and waits for what comes of it.
func (w *whole) connectAll(ctx context.Context, condition func(gauge.Metrics) bool) (c connected, err error) {
	if w.proxies, err = start(ctx, "-role", "proxies"); err != nil {
		return connected{}, err
	}
	w.Add(w.proxies.Kill)
	return w.timed(func() error {
		_, err := w.proxies.tell(command{Do: "connect", Kind: w.kind, N: w.n, Address: w.server.Listen, Whole: true})
		return errors.Join(err, w.until(ctx, condition))
	})
}

// join has all proxies come back, as new ones, to a rollout that is in its first
// stage: a tenth of them is taken into it as they come.
func (w *whole) join(ctx context.Context) (connected, error) {
	w.proxies.Kill()
	if err := w.until(ctx, func(m gauge.Metrics) bool { return m["waxwing_streams"] == 0 }); err != nil {
		return connected{}, err
	}
	w.revision++
	if err := w.server.Save("fleet.yaml", w.kind.fleetFile(w.revision, halted)); err != nil {
		return connected{}, err
	}
	if err := w.until(ctx, func(m gauge.Metrics) bool { return m.Candidate("edge") }); err != nil {
		return connected{}, err
	}
	return w.connectAll(ctx, func(m gauge.Metrics) bool { return m.Candidate("edge") && m.Settled("edge", w.n) })
}
