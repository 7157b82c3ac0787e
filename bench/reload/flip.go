package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// flip is one way to a revision and back: from the moment that a real listener is
// given it, or given up, until its proxy has accepted that. One for each proxy.
type flip struct{ there, back []time.Duration }

const flipHeader = `| filter | shadow | flip: median | p95 | back: median | p95 | target (p95) |
|---|---|---|---|---|---|---|`

// measureFlips rolls the second state out and gives it up, n times, with a shadow
// listener and without one.
func (b *bench) measureFlips(ctx context.Context, k kind, n int) error {
	target := 100 * time.Millisecond
	if strings.Contains(k.name, "rust") {
		target = 20 * time.Millisecond
	}
	for _, shadow := range []bool{true, false} {
		var all flip
		err := b.stage(ctx, k, shadow)
		for i := 0; err == nil && i <= n; i++ {
			var one flip
			if one, err = b.flip(ctx, i > 0); i > 0 { // the first is a warm-up
				all.there, all.back = append(all.there, one.there...), append(all.back, one.back...)
			}
		}
		if err != nil {
			return err
		}
		fmt.Println(all.row(k.name, shadow, target))
	}
	return nil
}

func (f flip) row(name string, shadow bool, target time.Duration) string {
	p95 := func(d []time.Duration) time.Duration { return d[len(d)*95/100] }
	slices.Sort(f.there)
	slices.Sort(f.back)
	verdict := "no target"
	if shadow {
		verdict = fmt.Sprintf("≤ %s: met", ms(target))
		if max(p95(f.there), p95(f.back)) > target {
			verdict = fmt.Sprintf("≤ %s: MISSED", ms(target))
		}
	}
	return fmt.Sprintf("| %s | %t | %s | %s | %s | %s | %s |", name, shadow,
		ms(median(f.there)), ms(p95(f.there)), ms(median(f.back)), ms(p95(f.back)), verdict)
}

// stage has the first state served, with or without a shadow, and then saves the
// second, which bakes for longer than the measurement takes.
func (b *bench) stage(ctx context.Context, k kind, shadow bool) error {
	events, err := b.server.API.Events(ctx, "")
	if err != nil {
		return err
	}
	defer events.Close()
	// A state that is served already is no revision: a plugin configuration of its own makes it one.
	config := fmt.Sprintf("{response_header: x-build, allow_paths: [/%t/%d]}", shadow, time.Now().UnixNano())
	for i, bake := range []string{"0s", "1h"} {
		f := b.fleet(state{config: config})
		f.NoShadow, f.Rollout = !shadow, "{stages: [{name: all, percent: 100, bake: "+bake+"}]}"
		if err := errors.Join(b.server.Save("filter.wasm", k.states[i].wasm), b.server.Save("fleet.yaml", f.YAML())); err != nil {
			return err
		}
		if i == 0 {
			if _, err := until(events, api.EventServing); err != nil {
				return err
			}
		}
	}
	return nil
}

// flip waits until the candidate bakes, and gives it up. again says that it was
// given up before, and is to be tried again.
func (b *bench) flip(ctx context.Context, again bool) (flip, error) {
	events, err := b.server.API.Events(ctx, "")
	if err != nil {
		return flip{}, err
	}
	defer events.Close()
	if again {
		if err := b.command(ctx, api.VerbRetry); err != nil {
			return flip{}, err
		}
	}
	there, err := until(events, api.EventBaking)
	if err != nil {
		return flip{}, err
	}
	if err := b.command(ctx, api.VerbAbort); err != nil {
		return flip{}, err
	}
	back, err := until(events, api.EventRolledBack)
	return flip{since(there, api.EventFlipped), since(back, api.EventAborted)}, err
}

// since are the times from an event until each proxy accepted what it was given then.
func since(events []api.Event, kind api.EventKind) []time.Duration {
	var begin time.Time
	var out []time.Duration
	for _, e := range events {
		if e.Kind == kind {
			begin = e.Time
		} else if e.Kind == api.EventAccepted && !begin.IsZero() {
			out = append(out, e.Time.Sub(begin))
		}
	}
	return out
}

// until collects events up to one of a kind, for a minute.
func until(events *api.Stream, kind api.EventKind) (all []api.Event, err error) {
	defer time.AfterFunc(time.Minute, events.Close).Stop()
	for {
		e, err := events.Next()
		if err != nil {
			return all, fmt.Errorf("no word from xds that a revision is %s: %w; what it said: %+v", kind, err, all)
		}
		if all = append(all, e); e.Kind == kind {
			return all, nil
		}
	}
}

func (b *bench) command(ctx context.Context, verb api.Verb) error {
	return b.server.API.Do(ctx, api.Command{Verb: verb, By: "make bench"})
}
