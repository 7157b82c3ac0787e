package fleet

import "go.yaml.in/yaml/v3"

// maxKeysSquared bounds the sum of the squares of how many keys the mappings of a file have: the
// YAML decoder compares each key of a mapping with each other one, so that 200,000 keys, 4 MB, take
// it minutes. Ten thousand keys in one mapping are within it.
const maxKeysSquared = 100_000_000

// crowded is the mapping by which a file has more than that, nil for none.
func crowded(file *yaml.Node) *yaml.Node {
	left := maxKeysSquared
	var look func(n *yaml.Node) *yaml.Node
	look = func(n *yaml.Node) *yaml.Node {
		if n.Kind == yaml.MappingNode {
			keys := len(n.Content) / 2
			if left -= keys * keys; left < 0 {
				return n
			}
		}
		for _, child := range n.Content { // what an alias stands for is no child
			if found := look(child); found != nil {
				return found
			}
		}
		return nil
	}
	return look(file)
}
