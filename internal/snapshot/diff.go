package snapshot

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/cncf/xds/go/udpa/annotations"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// A Change is a resource in which two revisions differ.
type Change struct {
	Type string // "Listener"
	Name string
	Kind string // added, removed or changed
	// Diff is what changed, in the unified format, of Envoy's JSON. Modules are
	// named by their digests; what Envoy's API marks as sensitive is left out.
	Diff string
}

// Diff is what b changes against a; either may be nil, for nothing.
func Diff(a, b *Snapshot) ([]Change, error) {
	var out []Change
	for _, k := range fleet.Kinds {
		before, after := byName(a, k.Type), byName(b, k.Type)
		names := maps.Clone(before)
		maps.Copy(names, after)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			change, err := difference(k, before[name], after[name])
			if err != nil {
				return nil, fmt.Errorf("comparing %s %q: %w", k.Name, name, err)
			}
			if change != nil {
				change.Name = name
				out = append(out, *change)
			}
		}
	}
	return out, nil
}

func byName(s *Snapshot, typeURL string) map[string]*Resource {
	out := map[string]*Resource{}
	if s != nil {
		for _, r := range s.All(typeURL) {
			out[r.Name] = r
		}
	}
	return out
}

func difference(k *fleet.Kind, before, after *Resource) (*Change, error) {
	change := &Change{Type: k.Type[strings.LastIndex(k.Type, ".")+1:]}
	switch {
	case before == nil:
		change.Kind = "added"
	case after == nil:
		change.Kind = "removed"
	case before.Version == after.Version:
		return nil, nil
	default:
		change.Kind = "changed"
	}
	if k.Secret {
		return change, nil
	}
	shown := conceal(before, after)
	old, err := before.shownAs(shown)
	if err != nil {
		return nil, err
	}
	current, err := after.shownAs(shown)
	if err != nil {
		return nil, err
	}
	change.Diff, err = difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: difflib.SplitLines(old), B: difflib.SplitLines(current), FromFile: "served", ToFile: "candidate", Context: 3,
	})
	return change, err
}

// text is a resource for people, "" for none.
func (r *Resource) text() (string, error) { return r.shownAs(nil) }

// shownAs is one that has of a filter's configuration what shown makes of it.
func (r *Resource) shownAs(shown func(*wasmv3.PluginConfig) error) (string, error) {
	if r == nil {
		return "", nil
	}
	m, err := r.Wire.GetResource().UnmarshalNew()
	if err != nil {
		return "", err
	}
	if err := redact(m.ProtoReflect()); err != nil {
		return "", err
	}
	if config, is := m.(*corev3.TypedExtensionConfig); is && shown != nil {
		if err := showConfig(config, shown); err != nil {
			return "", err
		}
	}
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return "", err
	}
	// protojson varies its spaces on purpose.
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(value, "", "  ")
	return string(text) + "\n", err
}

// redact takes out of a message, and of what is packed in it, what Envoy's API
// marks as sensitive, and the bytes of modules.
// https://github.com/cncf/xds/blob/main/udpa/annotations/sensitive.proto
func redact(m protoreflect.Message) error {
	switch v := m.Interface().(type) {
	case *anypb.Any:
		return redactPacked(v)
	case *wasmv3.VmConfig:
		if code := v.GetCode().GetLocal().GetInlineBytes(); len(code) > 0 {
			v.Code.Specifier = &corev3.AsyncDataSource_Local{Local: &corev3.DataSource{
				Specifier: &corev3.DataSource_InlineString{InlineString: "sha256:" + module.New(code).Digest},
			}}
		}
	}
	var err error
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch sensitive, _ := proto.GetExtension(field.Options(), annotations.E_Sensitive).(bool); {
		case sensitive:
			m.Clear(field)
		case field.IsMap():
			if field.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					err = redact(v.Message())
					return err == nil
				})
			}
		case field.Message() == nil:
		case field.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = redact(v.List().Get(i).Message())
			}
		default:
			err = redact(v.Message())
		}
		return err == nil
	})
	return err
}

func redactPacked(packed *anypb.Any) error {
	m, err := packed.UnmarshalNew()
	if err != nil {
		return fmt.Errorf("reading a %s: %w", packed.GetTypeUrl(), err)
	}
	if err := redact(m.ProtoReflect()); err != nil {
		return err
	}
	return packed.MarshalFrom(m)
}
