package fleet

import (
	"bytes"
	"errors"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"go.yaml.in/yaml/v3"

	"github.com/waxwing-xds/waxwing/internal/confine"
)

// document is the fleet file's own structure. What is Envoy's stays a YAML node.
type document struct {
	Fleet             at[string]       `yaml:"fleet"`
	Match             Match            `yaml:"match"`
	Verify            *verifyDocument  `yaml:"verify"`
	Filters           []filterDocument `yaml:"filters"`
	BootstrapClusters []string         `yaml:"bootstrap_clusters"`
	BootstrapSecrets  []string         `yaml:"bootstrap_secrets"`
	Rollout           rolloutDocument  `yaml:"rollout"`
	Shadow            shadowDocument   `yaml:"shadow"`
	Resources         sections         `yaml:"resources"`
}

type filterDocument struct {
	Name   at[string] `yaml:"name"`
	Module struct {
		File at[string] `yaml:"file"`
	} `yaml:"module"`
	Config        yaml.Node         `yaml:"config"`
	ConfigFrom    yaml.Node         `yaml:"config_from"`
	Verify        *verifyDocument   `yaml:"verify"`
	FailurePolicy at[string]        `yaml:"failure_policy"`
	Plugin        yaml.Node         `yaml:"plugin"`
	Listeners     []at[string]      `yaml:"listeners"`
	Checks        []checkDocument   `yaml:"checks"`
	Callouts      []calloutDocument `yaml:"callouts"`
	Ready         at[time.Duration] `yaml:"ready"`
	Hostile       yaml.Node         `yaml:"hostile"`
	Preflight     yaml.Node         `yaml:"preflight"`
	Shadow        *bool             `yaml:"shadow"`
}

// at is a value and the line it stands on; line 0 means that it is absent.
type at[T any] struct {
	value T
	line  int
}

func (a *at[T]) UnmarshalYAML(n *yaml.Node) error {
	a.line = n.Line
	return n.Decode(&a.value)
}

// namePattern is what fleets and filters may be called: the names go into file
// names, node metadata and Envoy's statistics.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?$`)

// MaxBytes is the size of the largest fleet file, in bytes.
const MaxBytes = 16 << 20

// A Reader reads fleet files. Files is which other files they may name.
type Reader struct{ Files confine.Rule }

// Parse reads a fleet file that may name any other file.
func Parse(file string, data []byte) (*Fleet, error) { return Reader{}.Parse(file, data) }

// Parse reads a fleet file. file is its path, for messages and to resolve
// module paths; what is wrong comes back as Errors.
func (r Reader) Parse(file string, data []byte) (*Fleet, error) {
	p := &parser{problems: problems{file: file}, fleet: &Fleet{File: file}, files: r.Files}
	p.merger.done, p.reader = map[*yaml.Node]bool{}, messageReader{problems: &p.problems, values: maxValues}
	p.names, p.generic = map[string]int{}, map[*yaml.Node]bool{}
	p.read(data)
	if err := p.err(); err != nil {
		return nil, err
	}
	return p.fleet, nil
}

type parser struct {
	problems
	fleet  *Fleet
	files  confine.Rule // those that the file may name
	doc    document
	root   *yaml.Node // the document's mapping
	merger merger
	reader messageReader
	names  map[string]int // of checks, to their lines
	placed []placed       // the Envoy resources, in the order of the file
	// generic are the messages within generic proxies, whose formats have commands of their own.
	generic map[*yaml.Node]bool
}

func (p *parser) read(data []byte) {
	if !p.decode(data) {
		return
	}
	p.header()
	p.rollout()
	p.filters()
	p.shadow()
	p.resources()
	if len(p.list) > 0 {
		return // references into what could not be read would only repeat it
	}
	p.validate()
	p.references()
	p.aggregates()
	p.bindings()
	p.neighbours()
}

// decode splits the file into its own fields and Envoy's nodes.
func (p *parser) decode(data []byte) bool {
	if len(data) > MaxBytes {
		p.add(0, "the file has %d bytes, and at most %d are read", len(data), MaxBytes)
		return false
	}
	var file yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&file); errors.Is(err, io.EOF) {
		p.add(0, "the file is empty")
		return false
	} else if err != nil {
		p.syntax(err, data)
		return false
	}
	if n := crowded(&file); n != nil {
		p.add(n.Line, "%s", tooLarge)
		return false
	}
	if p.root = file.Content[0]; p.root.Kind != yaml.MappingNode {
		// What is not there, behind `---` say, is told as of the line after the last.
		p.add(min(p.root.Line, 1+bytes.Count(bytes.TrimRight(data, "\r\n"), []byte("\n"))), "a fleet file is a mapping that begins with `fleet: NAME`")
		return false
	}
	if !p.alone(d, data) {
		return false
	}
	ignored := ignoredKeys(p.root)
	if !p.flatten(p.root) && p.merger.pairs > maxPairs {
		return false
	}
	p.list = nil // what else is wrong the decoder says, or who reads that part
	strict := yaml.NewDecoder(bytes.NewReader(data))
	strict.KnownFields(true)
	if err := strict.Decode(&p.doc); err != nil {
		p.addYAML(err, ignored)
	}
	return len(p.list) == 0
}

func (p *parser) header() {
	p.fleet.Name, p.fleet.Match = p.doc.Fleet.value, p.doc.Match
	p.fleet.NameLine, p.fleet.MatchLine = p.doc.Fleet.line, p.doc.Fleet.line
	if match := child(p.root, "match"); match != nil {
		p.fleet.MatchLine = lineOf(p.root, "match")
	}
	switch name := p.doc.Fleet; {
	case name.value == "":
		p.add(max(name.line, p.root.Line), "the fleet has no name: `fleet: NAME`")
	case !namePattern.MatchString(name.value):
		p.add(name.line, "fleet %q: a name is up to 64 letters, digits, dots, dashes and underscores", name.value)
	}
	if _, err := path.Match(p.doc.Match.ID, ""); err != nil {
		p.add(lineOf(p.root, "match", "id"), "match: id: %q is not a glob pattern", p.doc.Match.ID)
	}
}

func (p *parser) filters() {
	seen, list := map[string]bool{}, child(p.root, "filters")
	p.fleet.Verify = p.verify(p.doc.Verify, p.root)
	for i, doc := range p.doc.Filters {
		line := lineOf(p.root, "filters", i)
		switch name := doc.Name.value; {
		case name == "":
			p.add(line, "filter %d has no name", i+1)
		case !namePattern.MatchString(name):
			p.add(doc.Name.line, "filter %q: a name is up to 64 letters, digits, dots, dashes and underscores", name)
		case strings.HasPrefix(name, reserved):
			p.add(doc.Name.line, "filter %q: names that begin with %s are the server's own", name, reserved)
		case seen[name]:
			p.add(doc.Name.line, "filter %q is defined twice", name)
		}
		seen[doc.Name.value] = true
		if doc.Module.File.value == "" {
			p.add(line, "filter %q has no module: `module: {file: PATH}`", doc.Name.value)
		}
		f := p.filter(doc)
		if f.Verify = p.verify(doc.Verify, item(list, i), "filters", i); f.Verify == nil {
			f.Verify = p.fleet.Verify
		}
		f.Checks, f.Hostile = p.checks(i, doc), p.hostile(&doc.Hostile)
		f.Callouts = p.callouts(doc.Callouts, "filters", i)
		f.Preflight = p.preflight(&doc.Preflight)
		p.fleet.Filters = append(p.fleet.Filters, f)
	}
}

func (p *parser) filter(doc filterDocument) Filter {
	f := Filter{
		Name:       doc.Name.value,
		Module:     filepath.FromSlash(doc.Module.File.value),
		ModuleLine: doc.Module.File.line,
		Plugin:     p.plugin(doc),
		Shadow:     doc.Shadow == nil || *doc.Shadow,
	}
	f.ConfigFrom = p.configFrom(&doc, f.Plugin)
	if !filepath.IsAbs(f.Module) {
		f.Module = filepath.Join(filepath.Dir(p.file), f.Module)
	}
	if isFleetFile(f.Module) || f.Module == p.file { // a file is watched as one thing
		p.add(f.ModuleLine, "module %s is a fleet file, by its name", f.Module)
	}
	for _, name := range doc.Listeners {
		f.Listeners = append(f.Listeners, name.value)
	}
	return f
}

// plugin reads what goes into Envoy's PluginConfig: `plugin`, Envoy's own
// message, and the short forms for what nearly everyone sets.
func (p *parser) plugin(doc filterDocument) *wasmv3.PluginConfig {
	plugin := &wasmv3.PluginConfig{}
	if !doc.Plugin.IsZero() {
		p.message(&doc.Plugin, plugin)
	}
	visit(plugin, &doc.Plugin, func(m proto.Message, n *yaml.Node, _ bool) {
		if c, ok := m.(*wasmv3.CapabilityRestrictionConfig); ok {
			p.capabilities(c, n)
		}
	})
	if vm := plugin.GetVmConfig(); vm.GetCode() != nil || vm.GetVmId() != "" || plugin.GetName() != "" {
		p.add(doc.Plugin.Line, "plugin: name, vm_config.vm_id and vm_config.code are the server's to set")
	}
	if policy := doc.FailurePolicy; policy.line != 0 {
		value, ok := wasmv3.FailurePolicy_value[policy.value]
		if !ok {
			p.add(policy.line, "failure_policy: %q is not one of FAIL_RELOAD, FAIL_CLOSED, FAIL_OPEN", policy.value)
		}
		plugin.FailurePolicy = wasmv3.FailurePolicy(value)
	}
	if !doc.Config.IsZero() {
		if plugin.Configuration != nil {
			p.add(doc.Config.Line, "config and plugin.configuration are the same thing: give one of them")
		}
		plugin.Configuration = p.configuration(&doc.Config)
	}
	return plugin
}

// configuration turns any YAML value into the text that the filter reads: a
// string as it is, anything else as JSON with sorted keys.
func (p *parser) configuration(n *yaml.Node) *anypb.Any {
	n = resolve(n)
	text := n.Value
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		if !p.flatten(n) {
			return nil
		}
		raw, err := toJSON(n)
		if err == nil {
			text, err = canonicalJSON(raw)
		}
		if err != nil {
			p.addNode(n, err)
			return nil
		}
	}
	value, err := anypb.New(wrapperspb.String(text))
	if err != nil { // a string that is not UTF-8
		p.addNode(n, err)
	}
	return value
}
