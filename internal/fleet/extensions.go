package fleet

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"go.yaml.in/yaml/v3"
)

// An extension config may be a filter of any type. Envoy keeps one subscription for a name, and
// each listener that has asked for it takes the types that its type_urls say, and no others, also
// while it drains. What it is sent must fit all of them: one of another type is refused for as long
// as a listener of before is there, and a listener that comes before it answers 500 to each
// request. (FilterConfigSubscription::onConfigUpdate and applyLastOrDefaultConfig in
// source/common/filter/config_discovery_impl.cc, Envoy 1.40.0.) So a proxy has the type in the
// name. Filters of the file itself, which are all Wasm, keep theirs.
//
// What such a filter itself asks for, it asks for when the listener or cluster that it is of warms,
// and never after that: see asks.go. So the name says that, too.

const (
	filterPackage = "envoy.extensions.filters."
	wasmFilter    = filterPackage + "http.wasm.v3.Wasm"
)

// extensionName is the name by which proxies have an extension config: "x@http.rbac.v3.RBAC", and
// with what says what it asks for "x@http.oauth2.v3.OAuth2+1f0c5a9e". Where a cluster has it, that is
// said, too: "x@upstream.http.rbac.v3.RBAC".
func extensionName(m *corev3.TypedExtensionConfig, has role, asks []string) string {
	name := m.GetName() + kindMark
	if has == ofCluster {
		name += upstreamMark
	}
	name += strings.TrimPrefix(typeOf(m.GetTypedConfig()), filterPackage)
	if len(asks) > 0 {
		name += asksMark + sumOf(asks)
	}
	return name
}

// TypeOf is the type of a filter by ECDS: the name of a message of Envoy's.
func TypeOf(config *corev3.TypedExtensionConfig) string { return typeOf(config.GetTypedConfig()) }

// LineOfFilter is where a fleet file has a filter, by the name that proxies know.
func (f *Fleet) LineOfFilter(name string) int {
	for _, filter := range f.Filters {
		if filter.Name == name || upstreamOf(filter.Name) == name {
			return filter.ModuleLine
		}
	}
	for _, r := range f.Resources {
		if r.Kind == filterKind && r.Name == filterKind.ForPeople(name) {
			return r.Line
		}
	}
	return 0
}

// typeWanted reports a filter of a type that is not among those that its place in a listener or
// cluster takes. Envoy looks at what is after the last slash.
func (p *parser) typeWanted(m proto.Message, n *yaml.Node, name string) {
	source, ok := m.(interface {
		GetConfigDiscovery() *corev3.ExtensionConfigSource
	})
	is := p.filterType(name)
	if !ok || is == "" {
		return
	}
	wanted := source.GetConfigDiscovery().GetTypeUrls()
	if !slices.ContainsFunc(wanted, func(url string) bool { return url[strings.LastIndexByte(url, '/')+1:] == is }) {
		p.add(lineOf(n, "config_discovery", "type_urls"), "filter %q is of the type %s, which is none of the type_urls here: no Envoy takes it", name, is)
	}
}

// filterType is the message that a filter's configuration is, "" for a filter that does not exist.
func (p *parser) filterType(name string) string {
	for _, f := range p.fleet.Filters {
		if f.Name == name {
			return wasmFilter
		}
	}
	for _, r := range p.placed {
		if config, ok := r.msg.(*corev3.TypedExtensionConfig); ok && r.name == name {
			return typeOf(config.GetTypedConfig())
		}
	}
	return ""
}

// tellsItsName are the types of filters that write things for others to read under the name that
// they are configured by: dynamic metadata, or filter state.
var tellsItsName = map[string]bool{
	filterPackage + "http.a2a.v3.A2a":                    true,
	filterPackage + "http.composite.v3.Composite":        true,
	filterPackage + "http.ext_authz.v3.ExtAuthz":         true,
	filterPackage + "http.ext_proc.v3.ExternalProcessor": true,
	filterPackage + "http.mcp.v3.Mcp":                    true,
}

// extensions adds the names of extension configs, and of the file's filters where clusters have
// them. One that nothing in the fleet asks for is for bootstraps, which know it by its own. So is one
// that writes under its name where something in the fleet may read it.
func (n *renaming) extensions(f *Fleet, uses map[filterUse]bool) {
	for _, filter := range f.Filters {
		if uses[filterUse{filter.Name, ofCluster}] {
			n.up[Need{filterKind, filter.Name}] = upstreamOf(filter.Name)
		}
	}
	own := map[string]*corev3.TypedExtensionConfig{}
	for _, r := range f.Resources {
		config, ok := r.Message.(*corev3.TypedExtensionConfig)
		if ok && (uses[filterUse{r.Name, ofListener}] || uses[filterUse{r.Name, ofCluster}]) &&
			(!tellsItsName[typeOf(config.GetTypedConfig())] || !f.speaksOf(r.Name)) {
			own[r.Name] = config
		}
	}
	for _, has := range []role{ofListener, ofCluster} {
		w := asking{renaming: n, role: has, configs: own, open: map[string]bool{}}
		for _, name := range slices.Sorted(maps.Keys(own)) {
			if uses[filterUse{name, has}] {
				w.nameOf(name)
			}
		}
	}
}

// speaksOf is whether some text of a fleet has a filter's name in it, as a word, elsewhere than
// where filters are named.
func (f *Fleet) speaksOf(name string) bool {
	word := regexp.MustCompile(`(^|\W)` + regexp.QuoteMeta(name) + `(\W|$)`)
	speaks := false
	look := func(m proto.Message) {
		visit(m, nil, func(m proto.Message, _ *yaml.Node, _ bool) {
			kind, _ := asksFor(m.ProtoReflect().Descriptor().FullName())
			if _, is := m.(*corev3.TypedExtensionConfig); !is && kind != filterKind {
				eachText(m.ProtoReflect(), func(text string) { speaks = speaks || word.MatchString(text) })
			}
		})
	}
	for _, r := range f.Resources {
		look(r.Message)
	}
	for _, filter := range f.Filters {
		look(filter.Plugin)
	}
	return speaks
}

// eachText calls fn for the texts in a message's own fields, and the keys of its maps but for
// those that are names of filters.
func eachText(m protoreflect.Message, fn func(string)) {
	text := func(kind protoreflect.Kind, v protoreflect.Value) {
		switch kind { // the others are no texts
		case protoreflect.StringKind:
			fn(v.String())
		case protoreflect.BytesKind:
			fn(string(v.Bytes()))
		}
	}
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.IsMap() && field.Name() != perFilterField:
			v.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
				text(field.MapKey().Kind(), key.Value())
				text(field.MapValue().Kind(), v)
				return true
			})
		case field.IsMap():
		case field.IsList():
			for i := range v.List().Len() {
				text(field.Kind(), v.List().Get(i))
			}
		default:
			text(field.Kind(), v)
		}
		return true
	})
}
