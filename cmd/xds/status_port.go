package main

import (
	"fmt"
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
