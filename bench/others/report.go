package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

func (t *tried) verdict() string {
	if len(t.apart) > 0 {
		return "APART"
	}
	return "agree"
}

func (t *tried) describe() {
	if t.there.refused != "" {
		fmt.Fprintf(os.Stderr, "  Envoy refuses it: %s\n  the sandbox: %s\n", t.there.refused, t.hereRefused)
	}
	for _, a := range t.apart {
		fmt.Fprintln(os.Stderr, "  "+a)
	}
}

// outcome is what Envoy made of the requests: statuses, with what did not come to an answer.
func (t *tried) outcome() string {
	if t.there.refused != "" {
		return "refused"
	}
	var out []string
	count := map[string]int{}
	for _, p := range t.there.passed {
		end := endOf(p)
		if end == "an answer" {
			end = valueOf(p.Answer, ":status")
		}
		if count[end]++; count[end] == 1 {
			out = append(out, end)
		}
	}
	for i, end := range out {
		out[i] = fmt.Sprintf("%d × %s", count[end], end)
	}
	return strings.Join(out, ", ")
}

// changed is what the filter did to what passed, in Envoy.
func (t *tried) changed() string {
	asked, local := requests(), 0
	var added []string
	note := func(name string) {
		if !slices.Contains(added, name) {
			added = append(added, name)
		}
	}
	for i, p := range t.there.passed {
		if p.Service == nil && endOf(p) == "an answer" {
			local++
		}
		for _, h := range p.Answer.Headers {
			if !hops.MatchString(h.Name) && !strings.HasPrefix(h.Name, ":") && !given(h.Name) {
				note(h.Name)
			}
		}
		if p.Service == nil {
			continue
		}
		for _, h := range p.Service.Headers {
			known := hops.MatchString(h.Name) || strings.HasPrefix(h.Name, ":")
			for _, own := range asked[i].Headers {
				known = known || own.Name == h.Name
			}
			if !known {
				note(h.Name + " (request)")
			}
		}
	}
	slices.Sort(added)
	var parts []string
	if local > 0 {
		parts = append(parts, fmt.Sprintf("answers %d itself", local))
	}
	if len(added) > 0 {
		parts = append(parts, "sets "+strings.Join(added, ", "))
	}
	return strings.Join(parts, "; ")
}

func given(name string) bool {
	for _, h := range said {
		if h.Name == name {
			return true
		}
	}
	return false
}

// report prints the table.
func report(all []tried) {
	agree := map[string][2]int{}
	fmt.Println("| toolchain | modules | agree |\n|---|---|---|")
	var toolchains []string
	for _, t := range all {
		if !slices.Contains(toolchains, t.toolchain) {
			toolchains = append(toolchains, t.toolchain)
		}
		c := agree[t.toolchain]
		c[0]++
		if len(t.apart) == 0 {
			c[1]++
		}
		agree[t.toolchain] = c
	}
	total := [2]int{}
	for _, name := range toolchains {
		fmt.Printf("| %s | %d | %d |\n", name, agree[name][0], agree[name][1])
		total[0], total[1] = total[0]+agree[name][0], total[1]+agree[name][1]
	}
	fmt.Printf("| in all | %d | %d |\n", total[0], total[1])
	fmt.Println("\n| project | module | toolchain | ABI | what Envoy answers | what the filter does | the sandbox |\n|---|---|---|---|---|---|---|")
	for _, t := range all {
		says := "the same"
		if len(t.apart) > 0 {
			says = "**otherwise**: " + strings.ReplaceAll(t.apart[0], "|", "\\|")
		}
		fmt.Printf("| %s | %s | %s | %s | %s | %s | %s |\n", strings.Replace(t.project, "+", "/", 1), t.name, t.toolchain, strings.ReplaceAll(t.abi, "_", "."), t.outcome(), t.changed(), says)
	}
}
