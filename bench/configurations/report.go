package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A reason is why Envoy refuses, by what it says.
type reason struct {
	says    *regexp.Regexp
	name    string
	outside bool // what only the proxy's machine or the rest of its bootstrap has
}

const missingFile = "a file that is not here, and for which none stands in"

var reasons = func() []reason {
	var out []reason
	for _, r := range []struct {
		says, name string
		outside    bool
	}{
		{`local jwks`, missingFile, true},
		{`^yaml-cpp`, "it is not YAML, or a template of it", false},
		{`^\w.*could not find @type '[^']*(envoy\.api\.v2|envoy\.config\.[\w.]*\.v[12]\w*)\.`, "a message of version 2 of Envoy's API", false},
		{`could not find @type 'type.googleapis.com/(envoy.config.resource_monitor|envoy.extensions.(bootstrap|resource_monitors|stat_sinks|regex_engines|network.socket_interface))`,
			"the rest of the bootstrap", true},
		{`could not find @type`, "a message that only another build of Envoy has, if any", true},
		{`Bootstrap *@ *(admin|node|overload|layered|stats|tracing|runtime)`, "the rest of the bootstrap", true},
		{`no such field|unknown enum|invalid JSON|has unknown fields`, "a field or a value that Envoy does not have", false},
		{`with type URL: ''`, "a filter or another extension without typed_config", false},
		{`Didn't find a registered implementation`, "an extension that this build of Envoy does not have", true},
		{`terminal filter`, "a router or another last filter that is not last, or is missing", false},
		{`no filter chain`, "no filter chain", false},
		{`address is necessary`, "no address", false},
		{`single wildcard domain|unique values for domains`, "a domain that two virtual hosts have", false},
		{`malformed IP address`, "a host name, or a template's place for one, where an address must be", false},
		{`unknown cluster`, "a route to a cluster that does not exist", false},
		{`invalid (escape|perl|repetition|character)|missing [)\]]`, "a regular expression that does not compile", false},
		{`Proto constraint`, "a rule of Envoy's API that is broken", false},
		{`Invalid path|unable to open|filesystem watch|existing path|descriptor|Maxmind|dynamic module|not found|private key from path|Wasm plugin`,
			missingFile, true},
		{`bootstrap extension`, "the rest of the bootstrap", true},
		{`extra/additional source`, "more source addresses than Envoy takes", false},
		{`deprecated option`, "a field that Envoy has given up", false},
		{`invalid authorization endpoint`, "a template's place for a name", false},
	} {
		out = append(out, reason{regexp.MustCompile(r.says), r.name, r.outside})
	}
	return out
}()

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

const total = "in all"

// count is of one repository, or of one reason.
type count struct {
	all, envoy, both, checkOnly int
	outside                     bool
}

func report(all []tried, list bool) {
	repositories, refused, skipped := map[string]*count{}, map[string]*count{}, map[string]int{}
	elsewhere := 0
	of := func(m map[string]*count, name string) *count {
		if m[name] == nil {
			m[name] = &count{}
		}
		return m[name]
	}
	of(repositories, total)
	for _, r := range all {
		if r.skipped != "" {
			skipped[r.skipped]++
			continue
		}
		if r.elsewhere {
			elsewhere++
		}
		for _, c := range []*count{of(repositories, r.repository), of(repositories, total)} {
			c.add(r)
		}
		if r.envoy != "" {
			why := reasonOf(r.envoy)
			of(refused, why.name).outside = why.outside
			of(refused, why.name).add(r)
		}
		if list && (r.envoy != "" || r.check != "") {
			describe(r)
		}
	}
	print(repositories, refused, skipped)
	fmt.Printf("with bootstrap_clusters, for a cluster that they name and don't have: %d\n", elsewhere)
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
	all := repositories[total]
	delete(repositories, total)
	fmt.Printf("\n| configurations | repositories | Envoy takes | of these `xds check` takes |\n|---|---|---|---|\n| %d | %d | %d | %d |\n",
		all.all, len(repositories), all.envoy, all.both)
	for _, outside := range []bool{false, true} {
		title := map[bool]string{false: "Envoy refuses for what a control plane can see", true: "Envoy refuses for what a control plane can't see"}[outside]
		fmt.Printf("\n| %s | configurations | of these `xds check` refuses |\n|---|---|---|\n", title)
		for _, name := range slices.SortedFunc(maps.Keys(refused), func(a, b string) int {
			return cmp.Or(refused[b].all-refused[a].all, strings.Compare(a, b))
		}) {
			if c := refused[name]; c.outside == outside {
				fmt.Printf("| %s | %d | %d |\n", name, c.all, c.all-c.checkOnly)
			}
		}
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(repositories)) {
		names = append(names, fmt.Sprintf("%s (%d of %d)", strings.Replace(name, "+", "/", 1), repositories[name].envoy, repositories[name].all))
	}
	fmt.Printf("\nRepositories, and what Envoy takes of theirs: %s.\n\n", strings.Join(names, ", "))
	for _, why := range slices.Sorted(maps.Keys(skipped)) {
		fmt.Printf("not counted: %d: %s\n", skipped[why], why)
	}
}
