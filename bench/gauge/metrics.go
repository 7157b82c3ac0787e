package gauge

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// Metrics are a server's, by name with labels.
type Metrics map[string]float64

// Scrape reads the metrics of a server's admin address.
func Scrape(ctx context.Context, admin string) (Metrics, error) {
	client := api.New(admin)
	defer client.Close()
	text, err := client.Metrics(ctx)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	out := Metrics{}
	for line := range strings.Lines(text) {
		name, value, ok := cutLast(strings.TrimSuffix(line, "\n"))
		if !ok {
			continue
		}
		if out[name], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, fmt.Errorf("metrics: %q: %w", line, err)
		}
	}
	return out, nil
}

func cutLast(line string) (name, value string, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 || line[0] == '#' {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

// AtRest reports whether n proxies are on a fleet's last good revision, and no
// other is on its way.
func (m Metrics) AtRest(fleet string, n int) bool {
	return m.Settled(fleet, n) && m[`waxwing_revision{fleet="`+fleet+`",role="serving"}`] > 0 && !m.Candidate(fleet)
}

// Settled reports whether n proxies have all that they are to have for now.
func (m Metrics) Settled(fleet string, n int) bool {
	return m[`waxwing_proxies{fleet="`+fleet+`",state="serving"}`] == float64(n)
}

// Candidate reports whether a revision is on its way.
func (m Metrics) Candidate(fleet string) bool {
	return m[`waxwing_revision{fleet="`+fleet+`",role="candidate"}`] > 0
}

// Until scrapes until the metrics are as they should be, or the context ends.
// Until there are any, they are nil.
func Until(ctx context.Context, admin string, condition func(Metrics) bool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last Metrics
	for {
		if m, err := Scrape(ctx, admin); err == nil {
			last = m
		}
		if condition(last) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w; the metrics are %v", ctx.Err(), last.own())
		}
	}
}

func (m Metrics) own() Metrics {
	out := Metrics{}
	for name, value := range m {
		if strings.HasPrefix(name, "waxwing_") {
			out[name] = value
		}
	}
	return out
}
