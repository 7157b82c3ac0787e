package fleet

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// A secret may be a certificate, a validation context, session tickets or anything else. Envoy
// keeps one subscription for a name, whatever is asked for by it: where a revision has
// something of another kind by a name than the one before, a listener or cluster of the older
// one that is still there is given that, refuses it, and what comes beside it waits in vain. So
// a proxy has the kind in the name, but for certificates, which a handshake may ask for.

const kindMark = "@"

// secretName is the name by which proxies have a secret.
func secretName(m *tlsv3.Secret) string {
	of := m.ProtoReflect()
	kind := of.WhichOneof(of.Descriptor().Oneofs().ByName("type"))
	if kind == nil || m.GetTlsCertificate() != nil {
		return m.GetName()
	}
	return m.GetName() + kindMark + string(kind.Name())
}

// SecretForPeople is the name that a secret has in the fleet file.
func SecretForPeople(name string) string {
	if i := strings.LastIndex(name, kindMark); i > 0 {
		return name[:i]
	}
	return name
}

// WithSecretNames are resources as proxies have them: with the names of secrets that say their
// kinds, in these and in what asks for them. Those that have no such name are the same ones.
func WithSecretNames(all []Resource) ([]Resource, error) {
	names := map[string]string{}
	for _, r := range all {
		if m, ok := r.Message.(*tlsv3.Secret); ok && secretName(m) != r.Name {
			names[r.Name] = secretName(m)
		}
	}
	if len(names) == 0 {
		return all, nil
	}
	out := make([]Resource, 0, len(all))
	for _, r := range all {
		m := proto.Clone(r.Message)
		changed, err := renameSecrets(m, names)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", r.Kind.Name, r.Name, err)
		}
		if secret, ok := m.(*tlsv3.Secret); ok && names[r.Name] != "" {
			secret.Name, r.Name, changed = names[r.Name], names[r.Name], true
		}
		if changed {
			r.Message = m
		}
		out = append(out, r)
	}
	return out, nil
}

// renameSecrets has a message ask for secrets by other names, and reports whether it asks for
// any of them. A TypedStruct that does is written as what it stands for.
func renameSecrets(m proto.Message, names map[string]string) (changed bool, err error) {
	if packed, ok := m.(*anypb.Any); ok {
		content := Content(packed)
		if content == nil {
			return false, nil
		}
		if changed, err = renameSecrets(content, names); err != nil || !changed {
			return false, err
		}
		if err := anypb.MarshalFrom(packed, content, proto.MarshalOptions{Deterministic: true}); err != nil {
			return false, fmt.Errorf("packing %s: %w", content.ProtoReflect().Descriptor().FullName(), err)
		}
		return true, nil
	}
	if ask, ok := m.(*tlsv3.SdsSecretConfig); ok && isADS(ask.GetSdsConfig()) && names[ask.GetName()] != "" {
		ask.Name, changed = names[ask.GetName()], true
	}
	EachField(m.ProtoReflect(), func(below protoreflect.Message) {
		if err != nil {
			return
		}
		var is bool
		is, err = renameSecrets(below.Interface(), names)
		changed = changed || is
	})
	return changed, err
}
