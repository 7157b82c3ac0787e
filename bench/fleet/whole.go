package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/bench/gauge"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// whole is bin/xds as a whole with its proxies: files, preflight, rollout, state.
type whole struct {
	rig.Ends

	kind     kind
	n        int
	module   []byte
	server   *rig.Server
	proxies  *part
	idle     int64 // bytes resident without proxies
	revision int
}

// withWhole measures a server with a first revision that has no proxies yet.
func (o options) withWhole(ctx context.Context, k kind, n int, measure func(*whole, context.Context) error) (err error) {
	w := &whole{kind: k, n: n}
	defer w.End()
	if k == inlineModule {
		w.module, err = os.ReadFile(o.module)
	} else { // that is larger than what these are filled up to
		w.module, err = rig.Gate(0)
	}
	if err != nil {
		return err
	}
	dir, err := w.Folder()
	if err != nil {
		return err
	}
	if w.server, err = rig.NewServer("bin/xds", dir, "--log-level", "warn"); err != nil {
		return err
	}
	if err := errors.Join(w.save(), w.serve(ctx)); err != nil {
		return err
	}
	w.Add(func() { w.server.Kill() })
	return measure(w, ctx)
}

// measure connects the proxies, restarts the server under them, saves, and has
// them join a rollout.
func (w *whole) measure(ctx context.Context) error {
	connect, err := w.connect(ctx)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	rss, err := gauge.Resident(w.server.PID())
	if err != nil {
		return err
	}
	each := (rss - w.idle) / int64(w.n)
	storm, resent, err := w.storm(ctx)
	if err != nil {
		return fmt.Errorf("after a restart: %w", err)
	}
	saved, err := w.rollout(ctx)
	if err != nil {
		return fmt.Errorf("after a save: %w", err)
	}
	joined, err := w.join(ctx)
	if err != nil {
		return fmt.Errorf("joining a rollout: %w", err)
	}
	fmt.Printf("| %s | %d | %s | %s | %.1f KiB | %s | %s | %d | %s | %s | %s | %s | %s | %s |\n", w.kind, w.n, ms(connect.last), ms(connect.cpu), kib(each),
		ms(storm.last), ms(storm.cpu), resent, ms(saved.last), ms(saved.cpu), mib(saved.peak), mb(saved.bytes), ms(joined.last), ms(joined.cpu))
	return nil
}

const wholeHeader = `| bin/xds | proxies | all connected and serving | CPU | resident for each | all serving after a restart | CPU | filters resent | a save, to the last proxy | CPU | peak memory | sent | all connected in mid-rollout | CPU |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|`

// save writes the next revision's files, each at once, as an editor does.
func (w *whole) save() error {
	w.revision++
	files := map[string][]byte{"fleet.yaml": w.kind.fleetFile(w.kind.nth(w.revision), atOnce)}
	if w.kind.size() > 0 {
		files["filter.wasm"] = w.kind.wasm(w.module, w.revision)
	}
	for name, data := range files {
		if old, err := os.ReadFile(w.server.File(name)); err == nil && slices.Equal(old, data) {
			continue
		}
		if err := w.server.Save(name, data); err != nil {
			return err
		}
	}
	return nil
}

func (w *whole) serve(ctx context.Context) (err error) {
	if err := w.server.Start(ctx); err != nil {
		return err
	}
	w.idle, err = gauge.Resident(w.server.PID())
	return err
}

// timed is what something takes, of the server's processor time as well.
func (w *whole) timed(do func() error) (connected, error) {
	begin := time.Now()
	taken, err := gauge.Measure(w.server.PID(), do)
	return connected{last: time.Since(begin), cpu: taken.CPU}, err
}

// storm kills the server, starts it again, and waits until it has all proxies back.
// It returns how many responses with filters they were sent.
func (w *whole) storm(ctx context.Context) (connected, int, error) {
	if _, err := w.proxies.tell(command{Do: "expect", Kind: w.kind}); err != nil {
		return connected{}, 0, err
	}
	begin := time.Now()
	w.server.Kill()
	if err := errors.Join(w.serve(ctx), w.serving(ctx, w.n)); err != nil {
		return connected{}, 0, err
	}
	last := time.Since(begin)
	u, err1 := gauge.UsageOf(w.server.PID())
	a, err2 := w.proxies.tell(command{Do: "count"})
	return connected{last: last, cpu: u.CPU}, a.Filters, errors.Join(err1, err2)
}

// rollout saves another revision and waits until the last proxy has it, for real.
func (w *whole) rollout(ctx context.Context) (p pushed, err error) {
	if _, err := w.proxies.tell(command{Do: "expect", Kind: w.kind}); err != nil {
		return p, err
	}
	taken, err := gauge.Measure(w.server.PID(), func() error {
		begin := now()
		if err := w.save(); err != nil {
			return err
		}
		a, err := w.proxies.tell(command{Do: "await"})
		if err != nil {
			return err
		}
		p.last = time.Duration(slices.Max(a.At) - begin)
		return w.serving(ctx, w.n) // and the shadow listeners have the old one
	})
	p.cpu, p.peak, p.bytes = taken.CPU, taken.Peak, taken.Wrote
	return p, err
}

// serving waits until n proxies are on the last good revision, and nothing is under way.
func (w *whole) serving(ctx context.Context, n int) error {
	return w.until(ctx, func(m gauge.Metrics) bool { return m.AtRest("edge", n) })
}

// until waits for the metrics to be as they should be; nil is for none.
func (w *whole) until(ctx context.Context, condition func(gauge.Metrics) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := gauge.Until(ctx, w.server.Admin, condition); err != nil {
		return fmt.Errorf("%w; the log ends with\n%s", err, w.server.Tail(20))
	}
	return nil
}
