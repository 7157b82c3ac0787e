package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Settings that are numbers: the defaults can be said, what says nothing is refused, and so is
// what would be taken for the default.
func TestNumbersInRange(t *testing.T) {
	for args, want := range map[string]string{
		"":                        "",
		"--max-streams=0":         "",
		"--push-timeout=0":        "",
		"--settle=0":              "",
		"--retire-grace=0":        "retire-grace",
		"--retire-grace=-1s":      "retire-grace",
		"--keep-revisions=0":      "keep-revisions",
		"--max-module-bytes=0":    "max-module-bytes",
		"--max-request-bytes=0":   "max-request-bytes",
		"--max-streams=-1":        "max-streams",
		"--max-unmatched=-1":      "max-unmatched",
		"--push-budget-bytes=-1":  "push-budget-bytes",
		"--push-timeout=-1s":      "push-timeout",
		"--settle-max=-1s":        "settle-max",
		"--preflight-start=0":     "preflight-start",
		"--preflight-call=-1ms":   "preflight-call",
		"--preflight-memory=-100": "preflight-memory",
	} {
		var s settings
		f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		s.flags(f)
		if err := f.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		err := s.inRange()
		if usage := (usageError{}); want == "" && err != nil || want != "" && (!errors.As(err, &usage) || !strings.HasPrefix(err.Error(), want+": ")) {
			t.Errorf("%q: %v, want one of %q", args, err, want)
		}
	}
}
