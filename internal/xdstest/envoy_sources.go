package xdstest

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	compositev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/composite/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// A sourceKey is what Envoy shares a subscription to one resource by: users with the
// same name and the same config source have it together.
type sourceKey struct {
	url, name, config string
	forever           bool // it has no initial_fetch_timeout
	upstream          bool // of an HTTP filter: a cluster has it
}

// A source is such a subscription.
type source struct {
	users int
	value *anypb.Any  // nil until it came
	heard uint64      // of a secret or filter: the hash of what it was sent last
	given bool        // something of its type was refused: it is not waited for any more
	asks  []sourceKey // of a filter: what it asks for itself
	scopes
	hosts
}

func keyOf(url, name string, config *corev3.ConfigSource) (sourceKey, error) {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(config)
	if err != nil {
		return sourceKey{}, fmt.Errorf("the config source of %q %w: %w", name, errNotRead, err)
	}
	timeout := config.GetInitialFetchTimeout()
	return sourceKey{url: url, name: name, config: string(text), forever: timeout != nil && timeout.AsDuration() == 0}, nil
}

// sourcesIn are what a listener or cluster, or anything in it, has discovered by ADS:
// routes, filters and secrets.
func sourcesIn(m proto.Message) (keys []sourceKey, err error) {
	_, upstream := m.(*clusterv3.Cluster)
	add := func(url, name string, config *corev3.ConfigSource, ofHTTP ...bool) {
		if config.GetAds() == nil {
			return
		}
		key, wrong := keyOf(url, name, config)
		key.upstream = upstream && len(ofHTTP) > 0
		if wrong != nil {
			err = wrong
		} else if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	walk(m.ProtoReflect(), func(m proto.Message) {
		switch m := m.(type) {
		case *hcmv3.Rds:
			add(resource.RouteType, m.GetRouteConfigName(), m.GetConfigSource())
		case *hcmv3.ScopedRoutes:
			add(resource.ScopedRouteType, wildcard, m.GetScopedRds().GetScopedRdsConfigSource())
			for _, scope := range m.GetScopedRouteConfigurationsList().GetScopedRouteConfigurations() {
				if scope.GetRouteConfigurationName() != "" {
					err = errors.New("fetching routes via RDS is not supported with inline scoped routes")
				}
			}
		case *hcmv3.HttpFilter:
			add(resource.ExtensionConfigType, m.GetName(), m.GetConfigDiscovery().GetConfigSource(), true)
		case *compositev3.DynamicConfig:
			add(resource.ExtensionConfigType, m.GetName(), m.GetConfigDiscovery().GetConfigSource(), true)
		case *listenerv3.Filter:
			add(resource.ExtensionConfigType, m.GetName(), m.GetConfigDiscovery().GetConfigSource())
		case *listenerv3.ListenerFilter:
			add(resource.ExtensionConfigType, m.GetName(), m.GetConfigDiscovery().GetConfigSource())
		case *clusterv3.Filter:
			add(resource.ExtensionConfigType, m.GetName(), m.GetConfigDiscovery().GetConfigSource())
		case *tlsv3.SdsSecretConfig:
			add(resource.SecretType, m.GetName(), m.GetSdsConfig())
		}
	})
	return keys, err
}

func secretsIn(m proto.Message) ([]sourceKey, error) { return sourcesIn(m) }

// walk calls a function for every message in a message, what is packed included.
func walk(m protoreflect.Message, fn func(proto.Message)) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		if content, err := packed.UnmarshalNew(); err == nil {
			walk(content.ProtoReflect(), fn)
		}
		return
	}
	fn(m.Interface())
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					walk(v.Message(), fn)
					return true
				})
			}
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				walk(v.List().Get(i).Message(), fn)
			}
		default:
			walk(v.Message(), fn)
		}
		return true
	})
}

// use adds a user of a source. The first asks the server for it.
func (e *Envoy) use(key sourceKey) {
	s := e.sources[key]
	if s == nil {
		other := key
		if other.upstream = !key.upstream; key.url == resource.ExtensionConfigType && e.sources[other] != nil {
			e.fault("filter %s is of a listener and of a cluster: Envoy feeds only one of them", key.name)
		}
		s = &source{}
		e.sources[key] = s
		if key.name == wildcard {
			w := e.watch(key.url)
			w.wildcard, w.due = true, true
		} else {
			e.watch(key.url).want(key.name)
		}
	}
	s.users++
}

func (e *Envoy) unuse(key sourceKey) {
	s := e.sources[key]
	if s.users--; s.users > 0 {
		return
	}
	delete(e.sources, key)
	if key.name != wildcard { // of which Envoy does not say that it wants it no more
		e.watch(key.url).drop(key.name)
	}
	for _, below := range slices.Concat(slices.Collect(maps.Values(s.named)), s.asks) {
		e.unuse(below)
	}
}

// missing names those that have not come, "" for none.
func (e *Envoy) missing(keys []sourceKey) string {
	var out []string
	for _, key := range keys {
		s := e.sources[key]
		switch {
		case key.url == resource.ScopedRouteType && s != nil && s.came:
			if out = append(out, e.scopesWait(s)...); len(out) == 0 {
				s.ready = true
			}
		case s != nil && s.value == nil && s.given:
		case s == nil || s.value == nil:
			out = append(out, kindOf(key.url)+" "+key.name)
		case s.byVHDS && !s.hosted:
			out = append(out, "virtual hosts of "+key.name)
		default:
			if below := e.missing(s.asks); below != "" {
				out = append(out, below)
			}
		}
	}
	return strings.Join(out, ", ")
}

func kindOf(url string) string { return url[strings.LastIndex(url, ".")+1:] }

// takeSources takes routes, filters or secrets.
func (e *Envoy) takeSources(r *response) error {
	var refusal error
	for _, one := range r.resources {
		for key, s := range e.sources {
			if key.url != r.url || key.name != one.name || refusal != nil {
				continue
			}
			if refusal = e.takeSource(key, s, one.packed); refusal != nil {
				e.goOnWithout(r.url)
			}
		}
	}
	if r.url == resource.ExtensionConfigType && len(r.removed) > 0 {
		e.fault("filters %v were removed: Envoy answers 500 from then on", r.removed)
	}
	e.clustersChanged()
	e.listenersChanged()
	return refusal
}

// takeSource takes one, if its files are there.
func (e *Envoy) takeSource(key sourceKey, s *source, packed *anypb.Any) error {
	if key.url != resource.RouteType {
		heard := sum(packed)
		if s.heard == heard {
			return nil
		}
		s.heard = heard
	}
	if err := e.anotherType(key, packed); err != nil {
		return err
	}
	if path := e.missingFile(packed); path != "" {
		return fmt.Errorf("Invalid path: %s", path) //nolint:staticcheck // Envoy's own words
	}
	first := s.value == nil
	s.value = packed
	switch key.url {
	case resource.RouteType:
		e.takeRoute(s)
	case resource.ExtensionConfigType:
		return e.takeFilter(key, s, first)
	}
	return nil
}

// typesIn are the types of filters, by ADS, that a listener's places for them take.
func typesIn(m proto.Message) map[sourceKey][]string {
	out := map[sourceKey][]string{}
	walk(m.ProtoReflect(), func(m proto.Message) {
		slot, ok := m.(interface {
			GetName() string
			GetConfigDiscovery() *corev3.ExtensionConfigSource
		})
		if !ok || slot.GetConfigDiscovery() == nil {
			return
		}
		if key, err := keyOf(resource.ExtensionConfigType, slot.GetName(), slot.GetConfigDiscovery().GetConfigSource()); err == nil {
			out[key] = slot.GetConfigDiscovery().GetTypeUrls()
		}
	})
	return out
}

// takesType is whether a listener takes what a filter is.
func (l *simListener) takesType(key sourceKey, packed *anypb.Any) bool {
	var config corev3.TypedExtensionConfig
	wanted, ok := l.types[key]
	if !ok || packed.UnmarshalTo(&config) != nil {
		return true
	}
	return slices.ContainsFunc(wanted, func(url string) bool { return path.Base(url) == path.Base(config.GetTypedConfig().GetTypeUrl()) })
}

// anotherType refuses a filter of a type that some listener which has it does not take.
func (e *Envoy) anotherType(key sourceKey, packed *anypb.Any) error {
	has := slices.Concat(slices.Collect(maps.Values(e.listeners)), slices.Collect(maps.Values(e.warmingListeners)), slices.Collect(maps.Keys(e.draining)))
	for _, l := range has {
		if !l.takesType(key, packed) {
			return fmt.Errorf("Error: filter %s: its type URL is none of %v", key.name, l.types[key]) //nolint:staticcheck // nearly Envoy's own words
		}
	}
	return nil
}

// goOnWithout has what waits for any of a type go on as if it had come.
func (e *Envoy) goOnWithout(url string) {
	for key, s := range e.sources {
		s.given = s.given || key.url == url
	}
}

// missingFile is a file that something names and its host lacks, "" for none.
func (e *Envoy) missingFile(packed *anypb.Any) (missing string) {
	if e.config.Missing == nil {
		return ""
	}
	walk(packed.ProtoReflect(), func(m proto.Message) {
		if file, ok := m.(*corev3.DataSource); ok && file.GetFilename() != "" && e.config.Missing(path.Clean(file.GetFilename())) {
			missing = file.GetFilename()
		}
	})
	return missing
}
