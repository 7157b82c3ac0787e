package fleet

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"go.yaml.in/yaml/v3"
)

// Some of what a resource names is not in it, but on the host of the proxy: a file, or a
// variable of its environment. Where that is missing, one proxy can't take what all others can.

// hostFields are the fields that name such a thing, all but those of a bootstrap. Files are
// true: the same one can be named in more than one way.
var hostFields = map[protoreflect.FullName]bool{
	"envoy.config.core.v3.DataSource.filename":                                                                true,
	"envoy.config.core.v3.DataSource.environment_variable":                                                    false,
	"envoy.config.core.v3.WatchedDirectory.path":                                                              true,
	"envoy.config.core.v3.PathConfigSource.path":                                                              true,
	"envoy.config.core.v3.ConfigSource.path":                                                                  true,
	"envoy.config.core.v3.HealthCheck.event_log_path":                                                         true,
	"envoy.config.core.v3.SocketAddress.network_namespace_filepath":                                           true,
	"envoy.extensions.access_loggers.file.v3.FileAccessLog.path":                                              true,
	"envoy.extensions.dynamic_modules.v3.DynamicModuleConfig.name":                                            false,
	"envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder.proto_descriptor":               true,
	"envoy.extensions.filters.http.grpc_json_reverse_transcoder.v3.GrpcJsonReverseTranscoder.descriptor_path": true,
	"envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy.access_log":                                   true,
	"envoy.extensions.geoip_providers.maxmind.v3.MaxMindConfig.anon_db_path":                                  true,
	"envoy.extensions.geoip_providers.maxmind.v3.MaxMindConfig.asn_db_path":                                   true,
	"envoy.extensions.geoip_providers.maxmind.v3.MaxMindConfig.city_db_path":                                  true,
	"envoy.extensions.geoip_providers.maxmind.v3.MaxMindConfig.country_db_path":                               true,
	"envoy.extensions.geoip_providers.maxmind.v3.MaxMindConfig.isp_db_path":                                   true,
	"envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink.event_log_path":               true,
	"envoy.extensions.transport_sockets.tls.v3.TlsKeyLog.path":                                                true,
}

// NamesHost reports whether a resource names something of the host of a proxy.
func NamesHost(m proto.Message) bool {
	names := false
	visit(m, nil, func(m proto.Message, _ *yaml.Node, _ bool) {
		r := m.ProtoReflect()
		fields := r.Descriptor().Fields()
		for i := range fields.Len() {
			if _, of := hostFields[fields.Get(i).FullName()]; of {
				names = names || r.Has(fields.Get(i))
			}
		}
	})
	return names
}

// Respell changes how a message names files, by a function, and reports whether it names any.
func Respell(m proto.Message, spell func(string) string) bool {
	r, changed := m.ProtoReflect(), false
	if packed, ok := m.(*anypb.Any); ok {
		content, err := packed.UnmarshalNew()
		if err != nil || !Respell(content, spell) {
			return false
		}
		return anypb.MarshalFrom(packed, content, proto.MarshalOptions{Deterministic: true}) == nil
	}
	r.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if hostFields[field.FullName()] {
			r.Set(field, protoreflect.ValueOfString(spell(v.String())))
			changed = true
		}
		return true
	})
	EachField(r, func(below protoreflect.Message) { changed = Respell(below.Interface(), spell) || changed })
	return changed
}

// EachField calls fn for each message that a field of m holds: alone, in a list or in a map.
// It goes no deeper; a message that is packed in an Any is the Any.
func EachField(m protoreflect.Message, fn func(protoreflect.Message)) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.IsMap() && field.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				fn(v.Message())
				return true
			})
		case field.IsMap() || field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				fn(v.List().Get(i).Message())
			}
		default:
			fn(v.Message())
		}
		return true
	})
}
