package quota

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// logEvery is how often a refusal is logged, of each reason. The next line says how many were not.
const logEvery = 10 * time.Second

// refusals are counted, and logged at a bounded rate. They have a lock of their own: a client is refused
// something with that of the Clients, and without.
type refusals struct {
	log *slog.Logger

	mu       sync.Mutex
	counts   map[Reason]int64
	logged   map[Reason]time.Time // last
	unlogged map[Reason]int       // since then
	last     string               // who was refused last, and why, of what was logged
	lastAt   time.Time
}

// refuse counts that something is refused to a client, and returns the status that says so: ResourceExhausted.
func (c *Client) refuse(reason Reason, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	c.all.refusals.add(c.all.now(), reason, c.Name, text)
	return status.Error(codes.ResourceExhausted, text)
}

// Refuse is the same for other packages. Of a stream of nobody, which a nil client is, nothing is counted.
func (c *Client) Refuse(reason Reason, format string, args ...any) error {
	if c == nil {
		return status.Errorf(codes.ResourceExhausted, format, args...)
	}
	return c.refuse(reason, format, args...)
}

func (r *refusals) add(now time.Time, reason Reason, who, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[reason]++
	if last, ok := r.logged[reason]; ok && now.Sub(last) < logEvery {
		r.unlogged[reason]++
		return
	}
	r.last, r.lastAt = who+": "+text, now
	r.log.Warn("a client has come to a bound", "reason", string(reason), "client", who, "why", text, "not_logged_before", r.unlogged[reason])
	r.logged[reason], r.unlogged[reason] = now, 0
}

// show copies the counts to figures: of each reason, as a metric that is 0 is to be there from the start.
func (r *refusals) show(f *Figures) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.Refused = map[string]int64{}
	for _, reason := range Reasons {
		f.Refused[string(reason)] = r.counts[reason]
	}
	f.Last, f.LastAt = r.last, r.lastAt
}
