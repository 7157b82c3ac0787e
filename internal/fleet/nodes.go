package fleet

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// lineOf finds the line of the value at a path of keys (string) and indexes
// (int), that of its key where it has one; where the path ends early, the line
// of what there is.
func lineOf(n *yaml.Node, steps ...any) int {
	line := n.Line
	for _, step := range steps {
		var next *yaml.Node
		switch step := step.(type) {
		case string:
			key, value := pair(n, step)
			if next = value; next != nil {
				line = key.Line
			}
		case int:
			if next = item(n, step); next != nil {
				line = next.Line
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return line
}

// child finds a mapping's value by key, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	_, value := pair(n, key)
	return value
}

// pair finds a key of a mapping and its value, or nil. Envoy's fields are
// written in lower_snake or lowerCamel case in YAML and in UpperCamel in Go: all
// the same here.
func pair(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n = resolve(n); n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if flat(resolve(n.Content[i]).Value) == flat(key) {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// item finds a list's value by index.
func item(n *yaml.Node, i int) *yaml.Node {
	if n = resolve(n); n == nil || n.Kind != yaml.SequenceNode || i < 0 || i >= len(n.Content) {
		return nil
	}
	return n.Content[i]
}

func flat(key string) string { return strings.ToLower(strings.ReplaceAll(key, "_", "")) }
