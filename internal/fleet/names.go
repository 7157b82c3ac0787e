package fleet

import (
	"fmt"
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

// ForPeople is the name that a resource of a kind has in the fleet file.
func (k *Kind) ForPeople(name string) string {
	i := strings.LastIndex(name, kindMark)
	if i < 1 || !k.Secret && (k != filterKind || !strings.Contains(name[i:], ".")) {
		return name
	}
	return name[:i]
}

// AsProxiesKnow are the resources of a fleet as proxies have them: with names that say the kinds
// of secrets and the types of extension configs, in these and in what asks for them. Those that
// have no such name are the same ones.
func (f *Fleet) AsProxiesKnow() ([]Resource, error) {
	n := names{}
	for _, r := range f.Resources {
		if m, ok := r.Message.(*tlsv3.Secret); ok && secretName(m) != r.Name {
			n[Need{r.Kind, r.Name}] = secretName(m)
		}
	}
	n.extensions(f)
	if len(n) == 0 {
		return f.Resources, nil
	}
	stays := f.written()
	out := make([]Resource, 0, len(f.Resources))
	for _, r := range f.Resources {
		m := proto.Clone(r.Message)
		changed, err := n.in(m, stays)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", r.Kind.Name, r.Name, err)
		}
		if name := n[Need{r.Kind, r.Name}]; name != "" {
			field := m.ProtoReflect().Descriptor().Fields().ByName(r.Kind.NameField)
			m.ProtoReflect().Set(field, protoreflect.ValueOfString(name))
			r.Name, changed = name, true
		}
		if changed {
			r.Message = m
		}
		out = append(out, r)
	}
	return out, nil
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
func (n names) in(m proto.Message, stays map[string]bool) (changed bool, err error) {
	if packed, ok := m.(*anypb.Any); ok {
		content := Content(packed)
		if content == nil {
			return false, nil
		}
		if changed, err = n.in(content, stays); err != nil || !changed {
			return false, err
		}
		if err := anypb.MarshalFrom(packed, content, proto.MarshalOptions{Deterministic: true}); err != nil {
			return false, fmt.Errorf("packing %s: %w", content.ProtoReflect().Descriptor().FullName(), err)
		}
		return true, nil
	}
	r := m.ProtoReflect()
	if kind, by := asksFor(r.Descriptor().FullName()); kind != nil && by.Name != All && isADS(sourceOf(r, by.Source)) {
		if name := n[Need{kind, by.nameIn(m)}]; name != "" {
			r.Set(r.Descriptor().Fields().ByName(by.Name), protoreflect.ValueOfString(name))
			changed = true
		}
	}
	changed = n.perFilter(r, stays) || changed
	EachField(r, func(below protoreflect.Message) {
		if err != nil {
			return
		}
		var is bool
		is, err = n.in(below.Interface(), stays)
		changed = changed || is
	})
	return changed, err
}

// perFilterField is the field of routes by which they say something to filters, by their names.
const perFilterField = "typed_per_filter_config"

// perFilter has a route say to filters by the names that proxies know what it says to them, and
// reports whether it says something. Filters written in Lua read the metadata of routes by their
// own names.
func (n names) perFilter(r protoreflect.Message, stays map[string]bool) (changed bool) {
	if field := r.Descriptor().Fields().ByName(perFilterField); field != nil && field.IsMap() {
		config := r.Get(field).Map()
		for key, name := range n {
			old := protoreflect.ValueOfString(key.Name).MapKey()
			if key.Kind != filterKind || !config.Has(old) {
				continue
			}
			config.Set(protoreflect.ValueOfString(name).MapKey(), config.Get(old))
			if !stays[key.Name] {
				config.Clear(old)
			}
			changed = true
		}
	}
	field := r.Descriptor().Fields().ByName("metadata")
	if field == nil || r.Descriptor().ParentFile().Package() != "envoy.config.route.v3" || !r.Has(field) {
		return changed
	}
	metadata, _ := r.Get(field).Message().Interface().(*corev3.Metadata)
	for key, name := range n {
		if of := metadata.GetFilterMetadata()[key.Name]; key.Kind == filterKind && of != nil {
			metadata.FilterMetadata[name] = proto.CloneOf(of)
			changed = true
		}
	}
	return changed
}
