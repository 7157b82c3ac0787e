package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/bench/gauge"
	"github.com/waxwing-xds/waxwing/internal/api"
)

// patience is how long all proxies may take to the newest revision, once nothing
// goes wrong any more: a few rollouts' worth.
const patience = 60 * time.Second

// calm ends all faults, saves once more, and waits until every proxy has that.
func (w *world) calm(ctx context.Context, o options) error {
	for i, p := range w.proxies {
		if p.heal() {
			w.fleet.Proxies[i].Close()
		}
	}
	w.save()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	want := fmt.Sprintf("%08d", w.build)
	for {
		err := gauge.Until(ctx, w.server.Admin, func(m gauge.Metrics) bool { return m.AtRest("edge", o.proxies+o.envoys) })
		if err != nil {
			return fmt.Errorf("not all proxies came to the newest revision: %w; %s", err, w.behind(context.WithoutCancel(ctx)))
		}
		if err = w.lost(ctx, want); err == nil {
			return nil
		}
		select { // the server may not have noticed the save yet
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// behind says what the server knows of proxies that are not where they should be.
func (w *world) behind(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	status, err := w.server.API.Status(ctx)
	if err != nil {
		return err.Error()
	}
	status.Proxies = slices.DeleteFunc(status.Proxies, func(p api.Proxy) bool { return p.State == api.ProxyServing })
	return fmt.Sprintf("%+v, of which these are behind: %+v", status.Fleets[0].Rollout, status.Proxies[:min(3, len(status.Proxies))])
}

// lost says which proxy, by its own account, does not have what it should.
func (w *world) lost(ctx context.Context, want string) error {
	for _, p := range w.envoys {
		got, err := p.answer(ctx)
		if err != nil {
			return fmt.Errorf("asking %s: %w", p.id, err)
		}
		if got != want {
			return fmt.Errorf("%s answers with build %q, want %q", p.id, got, want)
		}
	}
	versions := [2]map[string]int{{}, {}} // the variants name versions differently
	for i, p := range w.fleet.Proxies {
		versions[i%2][p.Has(resource.ExtensionConfigType)["auth"]]++
	}
	if len(versions[0]) > 1 || len(versions[1]) > 1 {
		return fmt.Errorf("the simulated proxies have different filters: %v", versions)
	}
	return nil
}

// row is what the server takes at rest.
type row struct {
	at                                    time.Duration
	goroutines, descriptors               float64
	heap, resident                        float64 // bytes
	pushes, rejected, timeouts, revisions float64
}

const header = `| after | goroutines | descriptors | live heap | resident | pushes | refused | cut off | revision |
|---|---|---|---|---|---|---|---|---|`

func (r row) String() string {
	const mib = 1 << 20
	return fmt.Sprintf("| %s | %.0f | %.0f | %.1f MiB | %.1f MiB | %.0f | %.0f | %.0f | %.0f |", r.at.Round(time.Second), r.goroutines, r.descriptors,
		r.heap/mib, r.resident/mib, r.pushes, r.rejected, r.timeouts, r.revisions)
}

// collected is what the server takes after two garbage collections at rest. What
// was live in one before then may be in the middle of a push. Scrapes bring them about.
func (w *world) collected(ctx context.Context) (gauge.Metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const count = "go_gc_duration_seconds_count"
	first, err := gauge.Scrape(ctx, w.server.Admin)
	for m := first; ; m, err = gauge.Scrape(ctx, w.server.Admin) {
		if err != nil || m[count] >= first[count]+2 {
			return m, err
		}
	}
}

func (w *world) look(ctx context.Context, at time.Duration) (row, error) {
	m, err := w.collected(ctx)
	if err != nil {
		return row{}, err
	}
	for _, name := range []string{"waxwing_push_in_flight_bytes", "waxwing_pushes_waiting", "waxwing_unmatched_proxies"} {
		if m[name] != 0 {
			return row{}, fmt.Errorf("at rest %s is %v", name, m[name])
		}
	}
	return row{
		at: at, goroutines: m["go_goroutines"], descriptors: m["process_open_fds"],
		// The collector lets the heap grow to twice what was live, by default.
		heap: m["go_memstats_next_gc_bytes"] / 2, resident: m["process_resident_memory_bytes"],
		pushes: m["waxwing_pushes_total"], rejected: m[`waxwing_answers_total{verdict="rejected"}`],
		timeouts: m["waxwing_push_timeouts_total"], revisions: m[`waxwing_revision{fleet="edge",role="serving"}`],
	}, nil
}

// grows compares the last third of the rows with the first, medians each.
func grows(rows []row) error {
	third := max(1, len(rows)/3)
	if len(rows) < 2 {
		return errors.New("one row says nothing of growth: let it run for longer")
	}
	var errs []error
	for _, c := range []struct {
		name         string
		of           func(row) float64
		share, least float64 // what it may grow by
	}{
		{"goroutines", func(r row) float64 { return r.goroutines }, 0.01, 20},
		{"descriptors", func(r row) float64 { return r.descriptors }, 0.01, 10},
		{"live heap", func(r row) float64 { return r.heap }, 0.10, 8 << 20},
		{"resident memory", func(r row) float64 { return r.resident }, 0.15, 32 << 20},
	} {
		first, last := median(rows[:third], c.of), median(rows[len(rows)-third:], c.of)
		if last > first*(1+c.share)+c.least {
			errs = append(errs, fmt.Errorf("%s grew from %.0f to %.0f", c.name, first, last))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Println("Nothing was lost, and nothing grew.")
	return nil
}

func median(rows []row, of func(row) float64) float64 {
	var values []float64
	for _, r := range rows {
		values = append(values, of(r))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
