package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A reason is why Envoy refuses, by what it says. Of what a control plane can't see,
// a fleet file says nothing either.
type reason struct {
	says    *regexp.Regexp
	name    string
	outside bool // a file, an address, a part of the bootstrap that is no resource
}

var reasons = []reason{}

func reasonOf(says string) reason {
	for _, r := range reasons {
		if r.says.MatchString(says) {
			return r
		}
	}
	return reason{name: "other: " + firstLine(says, 120)}
}

func firstLine(text string, most int) string {
	text, _, _ = strings.Cut(text, "\n")
	return text[:min(len(text), most)]
}

// count is of one repository, or of one reason.
type count struct {
	all, envoy, both, checkOnly int
}

func report(all []tried, list bool) {
	repositories, refused, skipped := map[string]*count{}, map[string]*count{}, map[string]int{}
	of := func(m map[string]*count, name string) *count {
		if m[name] == nil {
			m[name] = &count{}
		}
		return m[name]
	}
	for _, r := range all {
		if r.skipped != "" {
			skipped[r.skipped]++
			continue
		}
		for _, c := range []*count{of(repositories, r.repository), of(repositories, "~all")} {
			c.add(r)
		}
		if r.envoy != "" {
			of(refused, reasonOf(r.envoy).name).add(r)
		}
		if list && (r.envoy != "" || r.check != "") {
			describe(r)
		}
	}
	print(repositories, refused, skipped)
}

func (c *count) add(r tried) {
	c.all++
	if r.envoy == "" {
		c.envoy++
	}
	switch {
	case r.check == "" && r.envoy == "":
		c.both++
	case r.check == "":
		c.checkOnly++
	}
}

// describe says where the two part.
func describe(r tried) {
	verdict := "both refuse"
	switch {
	case r.check == "":
		verdict = "ONLY XDS CHECK TAKES"
	case r.envoy == "":
		verdict = "ONLY ENVOY TAKES"
	}
	fmt.Printf("%s %s/%s\n  Envoy: %s\n  xds check: %s\n", verdict, r.repository, r.file,
		firstLine(r.envoy, 300), firstLine(r.check, 300))
}

func print(repositories, refused map[string]*count, skipped map[string]int) {
	fmt.Println("\n| repository | configurations | Envoy takes | of these `xds check` takes |\n|---|---|---|---|")
	for _, name := range slices.Sorted(maps.Keys(repositories)) {
		c := repositories[name]
		fmt.Printf("| %s | %d | %d | %d |\n", strings.Replace(strings.TrimPrefix(name, "~"), "+", "/", 1), c.all, c.envoy, c.both)
	}
	fmt.Println("\n| Envoy refuses | configurations | of these `xds check` refuses |\n|---|---|---|")
	for _, name := range slices.SortedFunc(maps.Keys(refused), func(a, b string) int { return refused[b].all - refused[a].all }) {
		fmt.Printf("| %s | %d | %d |\n", name, refused[name].all, refused[name].all-refused[name].checkOnly)
	}
	fmt.Println()
	for _, why := range slices.Sorted(maps.Keys(skipped)) {
		fmt.Printf("not counted: %d: %s\n", skipped[why], why)
	}
}
