package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/rollout"
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
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	records, err := b.records(ctx)
	if err != nil {
		return err
	}
	write := func(s state, bake string) error {
		text := bytes.Replace(b.fleetYAML(s.config), []byte("percent: 100"), []byte("percent: 100, bake: "+bake), 1)
		text = bytes.Replace(text, []byte("listeners: [ingress]}"), fmt.Appendf(nil, "listeners: [ingress], shadow: %t}", shadow), 1)
		for name, data := range map[string][]byte{"filter.wasm": s.wasm, "fleet.yaml": text} {
			if _, err := b.replace(name, data); err != nil {
				return err
			}
		}
		return nil
	}
	// A state that is served already is no revision: a plugin configuration of its own makes it one.
	first := k.states[0]
	first.config = fmt.Sprintf("{response_header: x-build, allow_paths: [/%t/%d]}", shadow, time.Now().UnixNano())
	if err := write(first, "0s"); err != nil {
		return err
	}
	if _, err := until(ctx, records, string(rollout.Serving)); err != nil {
		return err
	}
	second := k.states[1]
	second.config = first.config
	return write(second, "1h")
}

// flip waits until the candidate bakes, and gives it up. again says that it was
// given up before, and is to be tried again.
func (b *bench) flip(ctx context.Context, again bool) (flip, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	records, err := b.records(ctx)
	if err != nil {
		return flip{}, err
	}
	if again {
		if err := b.command(ctx, rollout.Retry); err != nil {
			return flip{}, err
		}
	}
	there, err := until(ctx, records, string(rollout.Baking))
	if err != nil {
		return flip{}, err
	}
	if err := b.command(ctx, rollout.Abort); err != nil {
		return flip{}, err
	}
	back, err := until(ctx, records, string(rollout.RolledBack))
	return flip{since(there, string(rollout.Flipped)), since(back, string(rollout.Aborted))}, err
}

// since are the times from a record until each proxy accepted what it was given then.
func since(records []control.Record, kind string) []time.Duration {
	var begin time.Time
	var out []time.Duration
	for _, r := range records {
		if r.Kind == kind {
			begin = r.Time
		} else if r.Kind == control.Accepted && !begin.IsZero() {
			out = append(out, r.Time.Sub(begin))
		}
	}
	return out
}

// until collects records up to one of a kind.
func until(ctx context.Context, records <-chan control.Record, kind string) ([]control.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var out []control.Record
	for {
		select {
		case r := <-records:
			out = append(out, r)
			if r.Kind == kind {
				return out, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("no word from xds that a revision is %s: %w; what it said: %+v", kind, ctx.Err(), out)
		}
	}
}

func (b *bench) command(ctx context.Context, verb rollout.Verb) error {
	body, err := json.Marshal(control.Command{Verb: verb, By: "make bench"})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.admin+"/v1/commands", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // empty
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("%s: %s", verb, resp.Status)
	}
	return nil
}
