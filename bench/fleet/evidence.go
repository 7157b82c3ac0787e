package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"

	"github.com/waxwing-xds/waxwing/bench/gauge"
	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// Envoy's default, and what one of version 1.40.0 flushed whose filters crashed.
const (
	flushEvery = 5 * time.Second
	flushFile  = "internal/xds/testdata/flush.pb"
)

// looking is how long the server's processor time is looked at.
const looking = 20 * time.Second

const evidenceHeader = `| evidence | proxies | flushes a second | health reports a second | server CPU, of one core | resident for each |
|---|---|---|---|---|---|`

// evident adds to a node what the bootstrap of xds bootstrap says of its evidence.
func evident(node *corev3.Node) *corev3.Node {
	list, err := structpb.NewValue(map[string]any{"evidence": []any{"health", "metrics"}})
	if err != nil {
		panic(err) // it is a constant
	}
	node.Metadata.Fields["waxwing"] = list
	return node
}

// flushed is that flush, of a proxy that is well: the same metrics, and as long.
func flushed() ([]byte, error) {
	b, err := os.ReadFile(flushFile)
	if err != nil {
		return nil, err
	}
	var m metricsv3.StreamMetricsMessage
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", flushFile, err)
	}
	m.Identifier = nil
	for _, family := range m.GetEnvoyMetrics() {
		for _, bad := range []string{".downstream_rq_5xx", ".vm_reload_", ".config_fail"} {
			if strings.Contains(family.GetName(), bad) && family.GetType() == dto.MetricType_COUNTER {
				family.Metric[0].Counter.Value = proto.Float64(0)
			}
		}
	}
	return proto.Marshal(&m)
}

// measureEvidence has proxies flush their metrics, at rest and while all of them
// report on the checks as well.
func (w *whole) measureEvidence(ctx context.Context) (err error) {
	if _, err = w.connect(ctx); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if err := w.look(ctx, "at rest"); err != nil {
		return err
	}
	w.revision++
	if err := w.server.Save("fleet.yaml", w.kind.fleetFile(w.revision, endless)); err != nil {
		return err
	}
	if err := w.confirmed(ctx); err != nil {
		return fmt.Errorf("in a rollout: %w", err)
	}
	if err := w.look(ctx, "all in a rollout that bakes"); err != nil {
		return err
	}
	return w.confirmed(ctx) // still
}

// confirmed waits until all proxies have the candidate, and their checks hold.
func (w *whole) confirmed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return rig.Until(ctx, func() error {
		s, err := w.server.API.Fleets(ctx)
		if err != nil {
			return err
		}
		if r := s.Fleets[0].Rollout; r == nil || r.Phases[api.PhaseConfirmed] != w.n {
			return fmt.Errorf("the rollout is %+v", r)
		}
		return nil
	})
}

// look prints what the server takes for a while.
func (w *whole) look(ctx context.Context, what string) error {
	before, err := w.proxies.tell(command{Do: "count"})
	if err != nil {
		return err
	}
	took, err := w.timed(func() error {
		select {
		case <-time.After(looking):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		return err
	}
	after, err := w.proxies.tell(command{Do: "count"})
	if err != nil {
		return err
	}
	rss, err := gauge.Resident(w.server.PID())
	if err != nil {
		return err
	}
	fmt.Printf("| %s | %d | %.0f | %.0f | %.2f | %.1f KiB |\n", what, w.n, float64(after.Flushes-before.Flushes)/took.last.Seconds(),
		float64(after.Reports-before.Reports)/took.last.Seconds(), took.cpu.Seconds()/took.last.Seconds(), kib((rss-w.idle)/int64(w.n)))
	return nil
}

// testify has the proxies give evidence until ctx ends.
func (p *proxies) testify(ctx context.Context) error {
	flush, err := flushed()
	if err != nil {
		return err
	}
	p.evidence = &xdstest.Evidence{Flush: flush, Every: flushEvery}
	go func() {
		if err := p.fleet.Testify(ctx, p.evidence); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.wrong = err
		}
	}()
	return nil
}
