package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// portProblems are what is wrong with how the xDS port is guarded.
func portProblems(p *api.Port, now time.Time) (lines []string) {
	if p == nil {
		return nil
	}
	if p.Security == api.SecurityInsecure {
		lines = append(lines, fmt.Sprintf("xDS port %s: plain text, and nobody proves who they are (--insecure-plaintext): something else must see to both", p.Address))
	}
	if p.LastBounded != "" && now.Sub(p.LastBoundedAt) < boundedFor {
		lines = append(lines, fmt.Sprintf("xDS port: %s (at %s; since the server started: %s)", p.LastBounded, p.LastBoundedAt.Format(time.DateTime), counted(p.Bounded)))
	}
	said := map[string]bool{} // a problem is that of all authorities of a file
	for _, c := range p.Certificates {
		if c.Problem != "" && !said[c.Use] {
			said[c.Use] = true
			lines = append(lines, fmt.Sprintf("xDS port: what is in %s since %s is not used, and what was there before goes on: %s",
				c.File, c.ProblemSince.Format(time.DateTime), c.Problem))
		}
		if c.Expiring {
			lines = append(lines, expiring(c, now))
		}
	}
	return lines
}

// boundedFor is how long the status says that a client came to a bound.
const boundedFor = 10 * time.Minute

// counted are counts in words.
func counted(counts map[string]int64) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(out, ", ")
}

// adminProblems are what is wrong with how the admin API is guarded, and what of it is not.
func adminProblems(a *api.Admin, now time.Time) (lines []string) {
	if a == nil {
		return nil
	}
	if a.Metrics != "" {
		lines = append(lines, fmt.Sprintf("/metrics, /healthz and /readyz: at %s, for anyone who reaches it (--metrics)", a.Metrics))
	}
	if t := a.Tokens; t != nil && t.Problem != "" {
		lines = append(lines, fmt.Sprintf("admin API: what is in %s since %s is not used, and the %d tokens of before go on: %s",
			t.File, t.ProblemSince.Format(time.DateTime), t.Count, t.Problem))
	}
	for _, line := range portProblems(&api.Port{Certificates: a.Certificates}, now) {
		line = strings.Replace(line, "xDS port", "admin API", 1)
		line = strings.Replace(line, "no proxy can connect", "nobody can ask it by TCP", 1)
		lines = append(lines, strings.Replace(line, "proxies' certificates", "its clients' certificates", 1))
	}
	return lines
}

func expiring(c api.Certificate, now time.Time) string {
	what := "the server's certificate (%s)"
	if c.Use != "server" {
		what = "the authority of proxies' certificates %q"
	}
	text := fmt.Sprintf("xDS port: "+what+" in %s expire", c.Name, c.File)
	if left := c.NotAfter.Sub(now); left > 0 {
		return fmt.Sprintf("%ss in %s, at %s: no proxy can connect then by it; save a new one", text, left.Round(time.Second), c.NotAfter.Format(time.DateTime))
	}
	return fmt.Sprintf("%sd at %s: no proxy can connect by it; save a new one", text, c.NotAfter.Format(time.DateTime))
}
