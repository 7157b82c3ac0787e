package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"go.yaml.in/yaml/v3"
)

// kindMark is before what says the kind of a secret or the type of a filter, in the name that
// proxies know it by.
const kindMark = "@"

// names are the names by which proxies know resources, where those are not the file's.
type names map[Need]string

// renaming has resources ask by the names that proxies know.
type renaming struct {
	names names
	up    names           // of HTTP filters that clusters have
	stays map[string]bool // see written
	// The fleet file's filters and secrets, by their names in the file.
	wasm, secrets map[string]bool
}

// by is the name that proxies know what a message asks for by, "" for that of the file.
func (n *renaming) by(m protoreflect.FullName, need Need, has role) string {
	if has.of(m) == ofCluster {
		return n.up[need]
	}
	return n.names[need]
}

// ForPeople is the name that a resource of a kind has in the fleet file.
func (k *Kind) ForPeople(name string) string {
	i := strings.LastIndex(name, kindMark)
	if i < 1 || !k.Secret && (k != filterKind || !strings.Contains(name[i:], ".")) {
		return name
	}
	return name[:i]
}

// AsProxiesKnow are the resources of a fleet as proxies have them: with names that say the kinds
// of secrets and the types of extension configs, in these and in what asks for them, which says in
// one form that it comes from this server. Those that have no such name and form are the same ones.
func (f *Fleet) AsProxiesKnow() ([]Resource, error) {
	n := renaming{names: names{}, up: names{}, wasm: map[string]bool{}, secrets: map[string]bool{}}
	for _, filter := range f.Filters {
		n.wasm[filter.Name] = true
	}
	for _, r := range f.Resources {
		if m, ok := r.Message.(*tlsv3.Secret); ok {
			n.secrets[r.Name] = true
			if name := secretName(m); name != r.Name {
				n.names[Need{r.Kind, r.Name}] = name
			}
		}
	}
	uses := f.uses()
	n.extensions(f, uses)
	if len(n.names)+len(n.up) == 0 && !slices.ContainsFunc(f.Resources, func(r Resource) bool { return n.odd(r.Message) }) {
		return f.Resources, nil
	}
	n.stays = f.written()
	maps.Copy(n.stays, n.wasm)
	out := make([]Resource, 0, len(f.Resources))
	for _, r := range f.Resources {
		key := Need{r.Kind, r.Name}
		inCluster := n.up[key] != ""
		if !inCluster || uses[filterUse{r.Name, ofListener}] {
			own, err := n.known(r, n.names[key], ofListener)
			if err != nil {
				return nil, err
			}
			out = append(out, own)
		}
		if inCluster {
			own, err := n.known(r, n.up[key], ofCluster)
			if err != nil {
				return nil, err
			}
			out = append(out, own)
		}
	}
	return out, nil
}

// known is a resource as proxies have it, by a name of their own or, for "", that of the file.
func (n *renaming) known(r Resource, name string, has role) (Resource, error) {
	m := proto.Clone(r.Message)
	changed, err := n.in(m, has)
	if err != nil {
		return r, fmt.Errorf("%s %q: %w", r.Kind.Name, r.Name, err)
	}
	if name != "" {
		field := m.ProtoReflect().Descriptor().Fields().ByName(r.Kind.NameField)
		m.ProtoReflect().Set(field, protoreflect.ValueOfString(name))
		r.Name, changed = name, true
	}
	if changed {
		r.Message = m
	}
	return r, nil
}

// written are the names of HTTP filters whose configuration is in the listener: what routes say
// to them is said by that name.
func (f *Fleet) written() map[string]bool {
	out := map[string]bool{}
	for _, r := range f.Resources {
		visit(r.Message, nil, func(m proto.Message, _ *yaml.Node, _ bool) {
			if h, ok := m.(*hcmv3.HttpFilter); ok && !isADS(h.GetConfigDiscovery().GetConfigSource()) {
				out[h.GetName()] = true
			}
		})
	}
	return out
}

// in has a message, and all below it, ask for resources by the names that proxies know, and
// reports whether that changed it. A TypedStruct that does is written as what it stands for.
func (n *renaming) in(m proto.Message, has role) (changed bool, err error) {
	if packed, ok := m.(*anypb.Any); ok {
		content := Content(packed)
		if content == nil {
			return false, nil
		}
		if changed, err = n.in(content, has); err != nil || !changed {
			return false, err
		}
		if err := anypb.MarshalFrom(packed, content, proto.MarshalOptions{Deterministic: true}); err != nil {
			return false, fmt.Errorf("packing %s: %w", content.ProtoReflect().Descriptor().FullName(), err)
		}
		return true, nil
	}
	has = has.below(m)
	r := m.ProtoReflect()
	if s := n.silent(m); s != nil {
		s.SdsConfig, changed = OwnSource(false), true
	}
	for source, form := range n.otherForms(m) {
		proto.Reset(source)
		proto.Merge(source, form)
		changed = true
	}
	if kind, by := asksFor(r.Descriptor().FullName()); kind != nil && by.Name != All && isADS(sourceOf(r, by.Source)) {
		if name := n.by(r.Descriptor().FullName(), Need{kind, by.nameIn(m)}, has); name != "" {
			r.Set(r.Descriptor().Fields().ByName(by.Name), protoreflect.ValueOfString(name))
			changed = true
		}
	}
	changed = n.perFilter(r) || changed
	EachField(r, func(below protoreflect.Message) {
		if err != nil {
			return
		}
		var is bool
		is, err = n.in(below.Interface(), has)
		changed = changed || is
	})
	return changed, err
}

// perFilterField is the field of routes by which they say something to filters, by their names.
const perFilterField = "typed_per_filter_config"

// perFilter has a route say to filters by the names that proxies know what it says to them, and
// reports whether it says something. Filters written in Lua read the metadata of routes by their
// own names.
func (n *renaming) perFilter(r protoreflect.Message) (changed bool) {
	if said := saidToFilters(r); said != nil {
		changed = n.perFilterIn(said)
	}
	field := r.Descriptor().Fields().ByName("metadata")
	if field == nil || r.Descriptor().ParentFile().Package() != "envoy.config.route.v3" || !r.Has(field) {
		return changed
	}
	metadata, _ := r.Get(field).Message().Interface().(*corev3.Metadata)
	for _, of := range []names{n.names, n.up} {
		for key, name := range of {
			if said := metadata.GetFilterMetadata()[key.Name]; key.Kind == filterKind && said != nil {
				metadata.FilterMetadata[name] = proto.CloneOf(said)
				changed = true
			}
		}
	}
	return changed
}

// saidToFilters is what a message says to filters by their names, nil where it is of a kind that does not.
func saidToFilters(r protoreflect.Message) protoreflect.Map {
	field := r.Descriptor().Fields().ByName(perFilterField)
	if field == nil || !field.IsMap() {
		return nil
	}
	return r.Get(field).Map()
}

// perFilterIn does so with what a route says by the names of filters.
func (n *renaming) perFilterIn(config protoreflect.Map) (changed bool) {
	said := map[string]protoreflect.Value{}
	config.Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
		said[key.String()] = v
		return true
	})
	for name, v := range said {
		key := Need{filterKind, name}
		for _, known := range []string{n.names[key], n.up[key]} {
			if known != "" {
				config.Set(protoreflect.ValueOfString(known).MapKey(), v)
				changed = true
			}
		}
		if (n.names[key] != "" || n.up[key] != "") && !n.stays[name] {
			config.Clear(protoreflect.ValueOfString(name).MapKey())
		}
	}
	return changed
}
