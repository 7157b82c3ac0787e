package fleet

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// maxPairs bounds what merge keys may copy: a few lines that merge one another can
// otherwise stand for any number of keys.
const maxPairs = 200_000

// ignoreTag marks a key that Envoy's loader skips: a place for anchors.
const ignoreTag = "!ignore"

// A merger replaces merge keys (<<) by what they stand for and drops ignored keys,
// once for each mapping, however many aliases lead to it: what comes after can then
// take each mapping as it is. Envoy itself has no merge keys.
type merger struct {
	done  map[*yaml.Node]bool
	pairs int
	errs  []*nodeError
}

// flatten does so for a value and all below it, in place, and returns whether it could.
func (p *parser) flatten(n *yaml.Node) bool {
	p.merger.errs = nil
	p.merger.value(n, 0)
	for _, err := range p.merger.errs {
		p.add(err.line, "%s", err.msg)
	}
	return len(p.merger.errs) == 0
}

// ignoredKeys are the lines of a mapping's keys that are ignored.
func ignoredKeys(n *yaml.Node) map[int]bool {
	lines := map[int]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; key.Tag == ignoreTag {
			lines[key.Line] = true
		}
	}
	return lines
}

func (m *merger) add(n *yaml.Node, format string, args ...any) {
	m.errs = append(m.errs, &nodeError{n.Line, fmt.Sprintf(format, args...)})
}

func (m *merger) value(n *yaml.Node, depth int) {
	if n = resolve(n); n == nil || m.done[n] {
		return
	}
	m.done[n] = true
	if depth > maxDepth {
		m.add(n, "%s", tooLarge)
		return
	}
	if n.Kind == yaml.MappingNode {
		m.mapping(n, depth)
	}
	for _, child := range n.Content {
		m.value(child, depth+1)
	}
}

// mapping gives a mapping its own pairs, in their order, then those it merges: its own
// keys win, then those merged first.
func (m *merger) mapping(n *yaml.Node, depth int) {
	seen := map[string]bool{}
	var pairs, merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), n.Content[i+1]
		switch {
		case key.Tag == ignoreTag:
		case key.ShortTag() == "!!merge":
			merged = append(merged, value)
		case key.Kind != yaml.ScalarNode:
			m.add(key, "a key must be a string")
		case seen[key.Value]:
			m.add(key, "key %q is given twice", key.Value)
		default:
			seen[key.Value] = true
			pairs = append(pairs, key, value)
		}
	}
	n.Content = pairs
	for _, source := range mergeSources(merged) {
		n.Content = append(n.Content, m.from(source, seen, depth)...)
	}
}

// from lists what a mapping gives to one that merges it. A mapping that merges itself,
// by way of others, is empty to them.
func (m *merger) from(source *yaml.Node, seen map[string]bool, depth int) []*yaml.Node {
	if source.Kind != yaml.MappingNode {
		m.add(source, "<<: merges mappings only")
		return nil
	}
	m.value(source, depth+1)
	if m.pairs += len(source.Content); m.pairs > maxPairs {
		m.add(source, "%s", tooLarge)
		return nil
	}
	var pairs []*yaml.Node
	for i := 0; i+1 < len(source.Content); i += 2 {
		if key := source.Content[i]; !seen[key.Value] {
			seen[key.Value] = true
			pairs = append(pairs, key, source.Content[i+1])
		}
	}
	return pairs
}

// mergeSources lists the mappings that merge keys name: one, or a list of them.
func mergeSources(values []*yaml.Node) []*yaml.Node {
	var out []*yaml.Node
	for _, v := range values {
		if v = resolve(v); v.Kind == yaml.SequenceNode {
			for _, item := range v.Content {
				out = append(out, resolve(item))
			}
		} else {
			out = append(out, v)
		}
	}
	return out
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for range maxDepth {
		if n == nil || n.Kind != yaml.AliasNode || n.Alias == nil {
			break
		}
		n = n.Alias
	}
	return n
}
