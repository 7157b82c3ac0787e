package identity

import "strings"

// A glob is a pattern of node ids: its literal parts, between which there is at least one
// character each. It is not a regular expression: each connection has its own, and ten
// thousand compiled ones are memory.
type glob []string

// literal is a glob of one node id.
func literal(id string) glob { return glob{id} }

// then is a glob followed by a pattern, in which * stands for one or more characters.
func (g glob) then(pattern string) glob {
	parts := strings.Split(pattern, "*")
	return append(g.text(parts[0]), parts[1:]...)
}

// text is a glob followed by literal text.
func (g glob) text(text string) glob {
	if len(g) == 0 {
		return glob{text}
	}
	out := append(glob{}, g...)
	out[len(out)-1] += text
	return out
}

// matches is whether a node id is one of those that are meant.
func (g glob) matches(id string) bool {
	first, last := g[0], g[len(g)-1]
	if len(g) == 1 {
		return id == first
	}
	if !strings.HasPrefix(id, first) {
		return false
	}
	rest := id[len(first):]
	for _, part := range g[1 : len(g)-1] { // the soonest place of each leaves the most to the others
		if rest == "" {
			return false
		}
		at := strings.Index(rest[1:], part)
		if at < 0 {
			return false
		}
		rest = rest[1+at+len(part):]
	}
	return len(rest) > len(last) && strings.HasSuffix(rest, last)
}
