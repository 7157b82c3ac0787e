package fleet

import (
	"iter"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// Envoy has one subscription for a name and a form of its source: `initial_fetch_timeout: 3s` beside
// the default makes two, `self` beside `ads`, too. A second one asks for nothing, since its stream has
// asked for the name, and gets nothing before that changes: what needs it waits for ever, or for 15 s,
// and then goes on without it. (Envoy 1.40.0: the keys of SecretManagerImpl, RouteConfigProviderManager
// and FilterConfigProviderManagerImplBase; WatchMap::updateWatchInterest. Seen on a real one.) So what
// comes from this server is asked for in one form by all that ask for it, now and after each change.

// OwnSource is the form: Envoy's default, and for a Wasm filter, of which nothing may take the place,
// as long as it takes.
func OwnSource(wasm bool) *corev3.ConfigSource {
	source := &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
	if wasm {
		source.InitialFetchTimeout = durationpb.New(0)
	}
	return source
}

// otherForms are the sources in the fields of a message that name this server in another form, and the form
// of each. What is asked for by an extension's source is known where that is a field.
func (n *renaming) otherForms(m proto.Message) iter.Seq2[*corev3.ConfigSource, *corev3.ConfigSource] {
	return func(yield func(*corev3.ConfigSource, *corev3.ConfigSource) bool) {
		if _, ok := m.(*corev3.ExtensionConfigSource); ok {
			return
		}
		r := m.ProtoReflect()
		kind, by := asksFor(r.Descriptor().FullName())
		wasm := kind == filterKind && n.wasm[by.nameIn(m)]
		for i := range r.Descriptor().Fields().Len() {
			field := r.Descriptor().Fields().Get(i)
			if field.Message() == nil || field.IsList() || field.IsMap() || !r.Has(field) {
				continue
			}
			source, form := sourceOf(r, field.Name()), OwnSource(wasm)
			if isADS(source) && !proto.Equal(source, form) && !yield(source, form) {
				return
			}
		}
	}
}

// silent is a message if it names a secret of the fleet file without saying from where: a bootstrap
// that has it among its static resources says no more, and a proxy would look for it there.
func (n *renaming) silent(m proto.Message) *tlsv3.SdsSecretConfig {
	if s, ok := m.(*tlsv3.SdsSecretConfig); ok && s.GetSdsConfig() == nil && n.secrets[s.GetName()] {
		return s
	}
	return nil
}

// odd is whether a message, or anything in it, asks this server for something in another form.
func (n *renaming) odd(m proto.Message) (is bool) {
	if packed, ok := m.(*anypb.Any); ok {
		content := Content(packed)
		return content != nil && n.odd(content)
	}
	if n.silent(m) != nil {
		return true
	}
	for range n.otherForms(m) {
		return true
	}
	EachField(m.ProtoReflect(), func(below protoreflect.Message) { is = is || n.odd(below.Interface()) })
	return is
}
