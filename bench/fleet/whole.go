package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/bench/gauge"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// whole is bin/xds as a whole with its proxies: files, preflight, rollout, state.
type whole struct {
	kind          kind
	n             int
	module        []byte
	dir           string
	listen, admin string
	server        *exec.Cmd
	proxies       *process
	idle          int64 // bytes resident without proxies
	revision      int
}

// withWhole measures a server with a first revision that has no proxies yet.
func (o options) withWhole(ctx context.Context, k kind, n int, measure func(*whole, context.Context) error) (err error) {
	w := &whole{kind: k, n: n}
	if w.module, err = os.ReadFile(o.module); err != nil {
		return err
	}
	if k != inlineModule { // the module itself is larger than that
		if w.module, err = smallest(ctx); err != nil {
			return err
		}
	}
	if w.dir, err = os.MkdirTemp("", "waxwing-bench-*"); err != nil {
		return err
	}
	defer w.down()
	for _, address := range []*string{&w.listen, &w.admin} {
		if *address, err = rig.FreeAddress(); err != nil {
			return err
		}
	}
	if err := w.save(); err != nil {
		return err
	}
	if err := w.serve(ctx); err != nil {
		return err
	}
	return measure(w, ctx)
}

// measure connects the proxies, restarts the server under them, saves, and has
// them join a rollout.
func (w *whole) measure(ctx context.Context) error {
	connect, err := w.connect(ctx)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	rss, err := gauge.Resident(w.server.Process.Pid)
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
		if old, err := os.ReadFile(filepath.Join(w.dir, name)); err == nil && slices.Equal(old, data) {
			continue
		}
		if err := w.write(name, data); err != nil {
			return err
		}
	}
	return nil
}

func (w *whole) write(name string, data []byte) error {
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (w *whole) serve(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(w.dir, "xds.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the server's own is another
	w.server = exec.CommandContext(ctx, "bin/xds", "serve", "--config", os.DevNull, "--fleet", filepath.Join(w.dir, "fleet.yaml"),
		"--state", filepath.Join(w.dir, "state"), "--listen", w.listen, "--admin", w.admin, "--log-level", "warn")
	w.server.Stderr = log
	w.server.SysProcAttr = gauge.EndsWithParent()
	if err := w.server.Start(); err != nil {
		return err
	}
	if err := w.until(ctx, func(m gauge.Metrics) bool { return m != nil }); err != nil {
		return err
	}
	w.idle, err = gauge.Resident(w.server.Process.Pid)
	return err
}

// timed is what something takes, of the server's processor time as well.
func (w *whole) timed(do func() error) (connected, error) {
	begin := time.Now()
	before, err1 := gauge.UsageOf(w.server.Process.Pid)
	err2 := do()
	after, err3 := gauge.UsageOf(w.server.Process.Pid)
	return connected{last: time.Since(begin), cpu: after.CPU - before.CPU}, errors.Join(err1, err2, err3)
}

// storm kills the server, starts it again, and waits until it has all proxies back.
// It returns how many responses with filters they were sent.
func (w *whole) storm(ctx context.Context) (connected, int, error) {
	if _, err := w.proxies.tell(command{Do: "expect", Kind: w.kind}); err != nil {
		return connected{}, 0, err
	}
	begin := time.Now()
	_ = w.server.Process.Kill()
	_ = w.server.Wait()
	if err := errors.Join(w.serve(ctx), w.serving(ctx, w.n)); err != nil {
		return connected{}, 0, err
	}
	last := time.Since(begin)
	u, err1 := gauge.UsageOf(w.server.Process.Pid)
	a, err2 := w.proxies.tell(command{Do: "count"})
	return connected{last: last, cpu: u.CPU}, a.Filters, errors.Join(err1, err2)
}

// rollout saves another revision and waits until the last proxy has it, for real.
func (w *whole) rollout(ctx context.Context) (pushed, error) {
	pid := w.server.Process.Pid
	_, err1 := w.proxies.tell(command{Do: "expect", Kind: w.kind})
	before, err2 := gauge.UsageOf(pid)
	if err := errors.Join(err1, err2, gauge.ForgetPeak(pid)); err != nil {
		return pushed{}, err
	}
	begin := now()
	if err := w.save(); err != nil {
		return pushed{}, err
	}
	a, err := w.proxies.tell(command{Do: "await"})
	if err != nil {
		return pushed{}, err
	}
	last := slices.Max(a.At) - begin
	err1 = w.serving(ctx, w.n) // and the shadow listeners have the old one
	after, err2 := gauge.UsageOf(pid)
	most, err3 := gauge.Peak(pid)
	return pushed{
		last: time.Duration(last), cpu: after.CPU - before.CPU, peak: most, bytes: after.Wrote - before.Wrote,
	}, errors.Join(err1, err2, err3)
}

// serving waits until n proxies are on the last good revision, and nothing is under way.
func (w *whole) serving(ctx context.Context, n int) error {
	return w.until(ctx, func(m gauge.Metrics) bool { return m.AtRest("edge", n) })
}

// until waits for the metrics to be as they should be; nil is for none.
func (w *whole) until(ctx context.Context, condition func(gauge.Metrics) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := gauge.Until(ctx, w.admin, condition); err != nil {
		log, _ := os.ReadFile(filepath.Join(w.dir, "xds.log"))
		return fmt.Errorf("%w; the log ends with\n%s", err, log[max(0, len(log)-2000):])
	}
	return nil
}

// smallest is the filter of the tests, which is half a kilobyte. It takes wabt.
func smallest(ctx context.Context) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "wat2wasm", "e2e/testdata/gate.wat", "--output=-").Output()
	if err != nil {
		return nil, fmt.Errorf("building a small filter (wat2wasm is a part of wabt): %w", err)
	}
	return out, nil
}

func (w *whole) down() {
	if w.proxies != nil {
		w.proxies.kill()
	}
	if w.server != nil && w.server.Process != nil {
		_ = w.server.Process.Kill()
		_ = w.server.Wait()
	}
	_ = os.RemoveAll(w.dir)
}
