package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// A result is what came of a check.
type result string

const (
	passed   result = "passed"
	failed   result = "failed"
	skipped  result = "skipped"   // it is not for the sandbox
	notAsked result = "not asked" // the filter did not come so far
)

// resultsOf are the checks of a filter and what came of them.
func resultsOf(p preflight.Plugin, report preflight.Report) []asked {
	out := []asked{}
	for _, c := range p.Checks {
		a := asked{Name: checkName(c), Line: c.Line, Request: c.Asks(), Expect: c.Status, Status: c.StatusText(), Proof: c.Proof(), Result: notAsked}
		if !c.In(fleet.InSandbox) {
			a.Result, a.Error = skipped, c.Unasked(fleet.InSandbox)
		}
		i := slices.IndexFunc(report.Outcomes, func(o preflight.Outcome) bool { return o.Line == c.Line })
		if i >= 0 {
			o := report.Outcomes[i]
			a.Result, a.Milliseconds = passed, milliseconds(o.Took)
			if o.Err != nil {
				a.Result, a.Error = failed, o.Err.Answer()
			}
		}
		out = append(out, a)
	}
	return out
}

// routedOf are those that only proxies are asked.
func routedOf(p preflight.Plugin) []asked {
	var out []asked
	for _, c := range p.Routed {
		out = append(out, asked{
			Name: checkName(c), Line: c.Line, Request: c.Asks(), Expect: c.Status, Status: c.StatusText(), Result: skipped,
			Error: "by proxies only: its route switches the filter off",
		})
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// name is how a filter is called among results.
func (r tried) name() string { return cmp.Or(r.Filter, filepath.Base(r.Module)) }

// results prints a line for each check, what the checks reached, and a summary.
func (t *trial) results(w io.Writer) {
	took := 0.0
	for _, r := range t.Filters {
		took += r.Milliseconds
		for _, a := range slices.Concat(r.Asked, r.Routed) {
			fmt.Fprintln(w, a.line(r.name()))
			if t.verbose && a.Proof != "" {
				fmt.Fprintf(w, "      line %d: %s\n", a.Line, a.Proof)
			}
		}
		for _, line := range coverageLines(r.Coverage, len(r.Asked) > 0, t.verbose) {
			fmt.Fprintf(w, "      %s: %s\n", r.name(), line)
		}
	}
	if len(t.Filters) > 0 {
		fmt.Fprintf(w, "%s in %.0fms\n", t.summary(), took)
	}
}

// line is the result of a check: "ok    gate/lets the key in: GET /=200 (0.4ms)".
func (a asked) line(filter string) string {
	word := map[result]string{passed: "ok", failed: "FAIL", skipped: "skip", notAsked: "-"}[a.Result]
	name := filter + "/" + a.Name
	if a.Name != a.Request {
		name += ": " + a.Request
	}
	text := fmt.Sprintf("%-5s %s=%s", word, name, a.Status)
	switch {
	case a.Result == notAsked:
		return text + ": not asked"
	case a.Result == skipped:
		return text + ": " + a.Error
	case a.Error != "":
		return fmt.Sprintf("%s (%.1fms): %s", text, a.Milliseconds, a.Error)
	}
	return fmt.Sprintf("%s (%.1fms)", text, a.Milliseconds)
}

// summary counts what came of the checks of all filters.
func (t *trial) summary() string {
	counts, total := map[result]int{}, 0
	for _, r := range t.Filters {
		for _, a := range slices.Concat(r.Asked, r.Routed) {
			counts[a.Result]++
			total++
		}
	}
	parts := []string{fmt.Sprintf("%d passed", counts[passed])}
	for _, kind := range []result{failed, skipped, notAsked} {
		if counts[kind] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[kind], kind))
		}
	}
	noun := "checks"
	if total == 1 {
		noun = "check"
	}
	return fmt.Sprintf("%d %s: %s%s", total, noun, strings.Join(parts, ", "), t.refusals())
}

// refusals counts the filters that fail something else than a check.
func (t *trial) refusals() string {
	n := 0
	for _, r := range t.Filters {
		if !r.Passed && r.Step != preflight.StepCheck {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return "; 1 filter refused otherwise"
	}
	return fmt.Sprintf("; %d filters refused otherwise", n)
}

// fewCallbacks are named without being asked for.
const fewCallbacks = 6

// coverageLines say what of a filter its checks reach, and what they don't.
func coverageLines(c *preflight.Coverage, checks, verbose bool) []string {
	if c == nil || !checks {
		return nil
	}
	var missed, statuses, unasked []string
	for _, callback := range c.Callbacks {
		if !callback.Reached {
			missed = append(missed, callback.Name)
		}
	}
	for _, r := range c.Replies {
		if r.Checks > 0 {
			statuses = append(statuses, fmt.Sprint(r.Status))
		} else {
			unasked = append(unasked, fmt.Sprint(r.Status))
		}
	}
	callbacks := fmt.Sprintf("%d of %d callbacks reached", len(c.Callbacks)-len(missed), len(c.Callbacks))
	switch {
	case len(missed) == 0:
	case len(missed) <= fewCallbacks || verbose:
		callbacks += ", not " + strings.Join(missed, ", ")
	default:
		callbacks += " (-v names the others)"
	}
	out := []string{callbacks}
	if len(statuses) > 0 {
		out = append(out, "local replies reached: "+strings.Join(statuses, ", "))
	}
	switch {
	case len(unasked) > 0:
		out = append(out, "no check reaches a local reply "+strings.Join(unasked, ", ")+": only hostile requests are answered so")
	case len(statuses) == 0 && c.Answers:
		out = append(out, "no check reaches a local reply, though the filter can send one (proxy_send_local_response)")
	}
	return out
}
