package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"go.yaml.in/yaml/v3"
)

// A filter by ECDS may itself ask for something: a secret, routes, another filter. Envoy begins to
// ask with the listener or cluster that the filter is of, while that warms. Of a filter that is
// changed when that is warm already, a subscription that is new is never begun: the filter waits for
// ever, and answers 401 or 404 to every request, also when it is changed back, since that is new by
// then, too. (Init::ManagerImpl::add of an initialized manager, in
// source/common/init/manager_impl.cc, Envoy 1.40.0, which says "attempted to add" in its log.)
// What is subscribed to by the same name and config source, it has. So a filter that asks for
// something else gets another name, and the listener or cluster, changed by that, warms anew.

// asksMark is before what says what a filter asks for, in the name that proxies know it by.
const asksMark = "+"

// asking gives extension configs names that say what they ask for.
type asking struct {
	*renaming
	role    role
	configs map[string]*corev3.TypedExtensionConfig // those that get names of their own
	open    map[string]bool                         // whose names are being worked out
}

// of are the names of the filters in a role.
func (w *asking) of(has role) names {
	if has == ofCluster {
		return w.up
	}
	return w.names
}

// nameOf is the name of a filter, once those are known that it asks for. One that asks for itself
// is taken for one that does not.
func (w *asking) nameOf(name string) string {
	key := Need{filterKind, name}
	config := w.configs[name]
	if w.of(w.role)[key] != "" || config == nil || w.open[name] {
		return w.name(key, w.role)
	}
	w.open[name] = true
	w.of(w.role)[key] = extensionName(config, w.role, asksOf(config, w.role, w.name))
	return w.of(w.role)[key]
}

// name is the name that proxies know what a filter asks for by.
func (w *asking) name(n Need, has role) string {
	if n.Kind == filterKind && w.of(has)[n] == "" && w.configs[n.Name] != nil && !w.open[n.Name] {
		return (&asking{w.renaming, has, w.configs, w.open}).nameOf(n.Name)
	}
	of := w.names
	if n.Kind == filterKind {
		of = w.of(has)
	}
	if name := of[n]; name != "" {
		return name
	}
	return n.Name
}

// AsksOf is what a filter asks for, in whatever way, and from where: each as a text that another
// name or another source makes another.
func AsksOf(config *corev3.TypedExtensionConfig) []string {
	return asksOf(config, ofListener, func(n Need, _ role) string { return n.Name })
}

// asksOf is the same with other names, of a filter in a role.
func asksOf(config *corev3.TypedExtensionConfig, has role, name func(Need, role) string) []string {
	var out []string
	visit(config, nil, func(m proto.Message, _ *yaml.Node, _ bool) {
		r := m.ProtoReflect()
		if kind, by := asksFor(r.Descriptor().FullName()); kind != nil {
			if source := sourceOf(r, by.Source); source != nil && proto.Size(source) > 0 {
				out = append(out, fmt.Sprintf("%s %q %x", kind.Name, name(Need{kind, by.nameIn(m)}, has), packedAlike(source)))
			}
		} else if hasSource(r) {
			out = append(out, fmt.Sprintf("%s %x", r.Descriptor().FullName(), packedAlike(m)))
		}
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// hasSource is whether a message of no row of the kinds says where something is to come from.
func hasSource(m protoreflect.Message) (has bool) {
	m.Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		has = field.Message() != nil && !field.IsMap() && field.Message().FullName() == configSource &&
			m.Descriptor().FullName() != extensionSource
		return !has
	})
	return has
}

// packedAlike is a message in the bytes that are the same for the same content.
func packedAlike(m proto.Message) []byte {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return []byte(err.Error()) // none that was read from a file
	}
	return text
}

func sumOf(asks []string) string {
	h := sha256.New()
	for _, ask := range asks {
		fmt.Fprintln(h, ask)
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}
