package rollout

import (
	"strings"
	"testing"
	"time"
)

// Answers that take much longer, or are much shorter, are found where all reports say so, and
// those of no other proxy do.
func TestAnswersUnlikeBefore(t *testing.T) {
	usual := window{requests: 200, median: 5, p99: 40, bytes: 1_000_000}
	like := func(edit func(*window)) window {
		w := usual
		edit(&w)
		return w
	}
	slow := like(func(w *window) { w.median, w.p99 = 120, 300 })
	short := like(func(w *window) { w.bytes = 40_000 })
	one := []window{slow, slow, usual, slow, slow, slow, slow}
	for _, c := range []struct {
		name         string
		after, other []window
		limits       Limits
		found        string // "" for nothing
	}{
		{"slow", []window{slow}, []window{usual}, Limits{Latency: 5, Length: 10}, "half of its requests take 120 ms"},
		{"some are slow", []window{like(func(w *window) { w.p99 = 300 })}, []window{usual}, Limits{Latency: 5, Length: 10}, "one of a hundred"},
		{"some of few are slow", []window{like(func(w *window) { w.requests, w.bytes, w.p99 = 50, 250_000, 300 })}, []window{usual}, Limits{Latency: 5, Length: 10}, ""},
		{"slow, as they may be", []window{slow}, []window{usual}, Limits{Length: 10}, ""},
		{"slow, but for a second", one, []window{usual}, Limits{Latency: 5, Length: 10}, ""},
		{"a little slower", []window{like(func(w *window) { w.median = 60 })}, []window{usual}, Limits{Latency: 5, Length: 10}, ""},
		{"slow everywhere", []window{slow}, []window{usual, usual, slow}, Limits{Latency: 5, Length: 10}, ""},
		{"short", []window{short}, []window{usual}, Limits{Latency: 5, Length: 10}, "200 bytes at most"},
		{"short everywhere", []window{short}, []window{usual, usual, short}, Limits{Latency: 5, Length: 10}, ""},
		{"short, as they may be", []window{short}, []window{usual}, Limits{Latency: 5}, ""},
		{"a little shorter, as if compressed", []window{like(func(w *window) { w.bytes = 150_000 })}, []window{usual}, Limits{Latency: 5, Length: 10}, ""},
		{"long", []window{like(func(w *window) { w.bytes = 100_000_000 })}, []window{usual}, Limits{Latency: 5, Length: 10}, ""},
		{"too few to tell", []window{like(func(w *window) { w.requests, w.median, w.bytes = 5, 900, 1 })}, []window{usual}, Limits{Latency: 5, Length: 10}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := flippedProxy(t)
			c.limits.MinRequests = 20
			p, other := j.proxies["p"], j.proxies["other"]
			p.traffic.before, other.traffic.before = share{}, share{}
			for range 8 {
				p.traffic.before.add(usual)
				other.traffic.before.add(usual)
			}
			at := func(all []window, i int) window { return all[min(i, len(all)-1)] }
			found := ""
			for i := range 7 {
				j.now = j.now.Add(time.Second)
				other.traffic.before.add(at(c.other, i))
				p.traffic.after.add(at(c.after, i))
				if found = j.answersUnlike("p", c.limits); found != "" {
					break
				}
			}
			if (found == "") != (c.found == "") || !strings.Contains(found, c.found) {
				t.Errorf("found %q, want %q", found, c.found)
			}
			delete(j.proxies, "other")
			j.surroundings = nil
			if found := j.answersUnlike("p", c.limits); found != "" {
				t.Errorf("with no other proxy to compare with: %s", found)
			}
		})
	}
}
