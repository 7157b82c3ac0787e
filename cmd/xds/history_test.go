package main

import (
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

func TestHistoryIsShort(t *testing.T) {
	long := "of this proxy, 60.0% of 100 requests were answered 5xx, and at the same time 0.0% of those of proxies that have the revision before"
	for reason, want := range map[string]string{
		"":      "-",
		"lunch": "lunch",
		"no connected proxy matches stage \"east\"; it is tried again": "no connected proxy matches stage \"east\" …",
		long:                    "of this proxy, 60.0% of 100 requests were answered 5xx, and at the same …",
		"two\nlines":            "two lines",
		strings.Repeat("é", 80): strings.Repeat("é", longestWhy) + " …",
	} {
		entries := []api.Entry{{At: time.Unix(0, 0), Kind: api.EventRejected, Reason: reason}}
		for full, why := range map[bool]string{false: want, true: orDash(strings.ReplaceAll(reason, "\n", " "))} {
			var out strings.Builder
			if err := printHistory(&out, entries, full); err != nil {
				t.Fatal(err)
			}
			line := strings.Split(out.String(), "\n")[1]
			if before := strings.TrimRight(strings.TrimSuffix(line, "-"), " "); !strings.HasSuffix(before, "  "+why) {
				t.Errorf("full: %t: the line is %q, want the reason %q", full, line, why)
			}
		}
	}
}
