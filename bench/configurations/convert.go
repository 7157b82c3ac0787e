package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A conversion makes two texts of a bootstrap, line by line the same as far as can be:
// one for Envoy, with stand-ins for files that are not here, and a fleet file, with
// `resources` for `static_resources` and all else ignored.
type conversion struct {
	lines []string
	stand standIns
	both  []edit // of both texts
	fleet []edit // of the fleet file only
	asks  bool   // a control plane for more: it is not static
	seen  map[*yaml.Node]bool

	listeners bool // there are any
	ignored   int
}

// An edit replaces some bytes of a line; none are an insertion.
type edit struct {
	line, column int // counted from 0
	length       int
	text         string
}

var errNoBootstrap = errors.New("no bootstrap with static_resources")

func convert(data []byte, stand standIns) (*conversion, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // of which columns know nothing
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errNoBootstrap
	}
	c := &conversion{lines: strings.Split(string(data), "\n"), stand: stand, seen: map[*yaml.Node]bool{}}
	root, last := doc.Content[0], -1
	for i := 0; i+1 < len(root.Content); i += 2 {
		if camel(root.Content[i].Value) == "staticResources" {
			last = i // of several keys Envoy takes the last
		}
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		switch name := camel(key.Value); {
		case i == last:
			c.rename(key, "resources")
			c.resources(value)
		case name == "dynamicResources":
			c.asks = true
			c.ignore(key)
		default:
			c.ignore(key)
			c.files(value, "")
		}
	}
	if last < 0 {
		return nil, errNoBootstrap
	}
	c.title(root)
	return c, nil
}

// ignore has a fleet file skip a key, under a name that no other has.
func (c *conversion) ignore(key *yaml.Node) {
	if key.Tag != "!ignore" {
		c.ignored++
		c.rename(key, fmt.Sprintf("!ignore ignored-%d", c.ignored))
	}
}

func (c *conversion) rename(key *yaml.Node, name string) {
	at := edit{key.Line - 1, key.Column - 1, len(key.Value), name}
	if key.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		at.length += 2
	}
	c.fleet = append(c.fleet, at)
}

// title names the fleet: on a line of its own at the end, or, where all of it is in
// braces, in front.
func (c *conversion) title(root *yaml.Node) {
	if root.Style&yaml.FlowStyle != 0 {
		first := root.Content[0]
		c.fleet = append(c.fleet, edit{first.Line - 1, first.Column - 1, 0, `"fleet": "public", `})
		return
	}
	c.lines = append(c.lines, "")
	c.fleet = append(c.fleet, edit{len(c.lines) - 1, 0, 0, "fleet: public\n"})
}

// resources names the listeners that have no name: a control plane must tell them apart.
func (c *conversion) resources(n *yaml.Node) {
	c.files(n, "")
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != "listeners" {
			continue
		}
		list := []*yaml.Node{n.Content[i+1]}
		if list[0].Kind == yaml.SequenceNode {
			list = list[0].Content
		}
		for j, listener := range list {
			c.listeners = true
			c.nameListener(listener, j)
		}
	}
}

func (c *conversion) nameListener(n *yaml.Node, j int) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "name" && n.Content[i+1].Value != "" {
			return
		}
	}
	first, separator := n.Content[0], "\n"+strings.Repeat(" ", n.Content[0].Column-1)
	if n.Style&yaml.FlowStyle != 0 {
		separator = ", "
	}
	c.fleet = append(c.fleet, edit{first.Line - 1, first.Column - 1, 0, fmt.Sprintf(`"name": "listener-without-name-%d"`, j) + separator})
}

// files puts stand-ins for files that are not here, and finds what asks a control plane.
func (c *conversion) files(n *yaml.Node, parent string) {
	if n.Kind == yaml.AliasNode || c.seen[n] {
		return
	}
	c.seen[n] = true
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		switch key, value := camel(n.Content[i].Value), n.Content[i+1]; key {
		case "filename":
			c.standIn(value, parent)
		case "ads", "apiConfigSource", "adsConfig":
			c.asks = true
		default:
			c.files(value, key+" "+parent)
		}
	}
	for _, item := range n.Content {
		if n.Kind == yaml.SequenceNode {
			c.files(item, parent)
		}
	}
}

func (c *conversion) standIn(value *yaml.Node, parent string) {
	if _, err := os.Stat(value.Value); value.Kind != yaml.ScalarNode || err == nil && filepath.IsAbs(value.Value) {
		return
	}
	path := c.stand.text
	switch field, _, _ := strings.Cut(parent, " "); {
	case field == "certificateChain", field == "trustedCa":
		path = c.stand.certificate
	case field == "privateKey":
		path = c.stand.key
	case strings.Contains(parent, "vmConfig"):
		path = c.stand.wasm
	}
	length := len(value.Value)
	if value.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		length += 2
	}
	c.both = append(c.both, edit{value.Line - 1, value.Column - 1, length, path})
}

func (c *conversion) forEnvoy() string { return apply(c.lines, c.both) }

// forFleet is the fleet file; named are clusters that the proxies have from elsewhere.
func (c *conversion) forFleet(named []string) string {
	text := apply(c.lines, slices.Concat(c.both, c.fleet))
	if len(named) > 0 {
		text += fmt.Sprintf("bootstrap_clusters: [%s]\n", strings.Join(named, ", "))
	}
	return text
}

// apply makes edits, those at the end of a line first.
func apply(lines []string, edits []edit) string {
	lines = slices.Clone(lines)
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Or(cmp.Compare(b.line, a.line), cmp.Compare(b.column, a.column)) })
	for _, e := range edits {
		line := lines[e.line]
		at := offset(line, e.column)
		lines[e.line] = line[:at] + e.text + line[min(len(line), at+e.length):]
	}
	return strings.Join(lines, "\n")
}

// offset is where the character at a column begins, in bytes.
func offset(line string, column int) int {
	for i := range line {
		if column == 0 {
			return i
		}
		column--
	}
	return len(line)
}

// camel is a name in JSON's spelling.
func camel(name string) string {
	head, rest, _ := strings.Cut(name, "_")
	for part := range strings.SplitSeq(rest, "_") {
		if part != "" {
			head += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return head
}
