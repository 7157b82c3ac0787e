package fleet

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"

	_ "github.com/waxwing-xds/waxwing/internal/extensions"
)

// A field that was renamed or misspelt would be none.
func TestHostFieldsExist(t *testing.T) {
	for name := range hostFields {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if field, ok := d.(protoreflect.FieldDescriptor); !ok || field.Kind() != protoreflect.StringKind || field.IsList() {
			t.Errorf("%s is no string", name)
		}
	}
}

func TestRespell(t *testing.T) {
	lua := func(code *corev3.DataSource) *corev3.TypedExtensionConfig {
		packed, err := anypb.New(&luav3.Lua{DefaultSourceCode: code, SourceCodes: map[string]*corev3.DataSource{"a": code}})
		if err != nil {
			t.Fatal(err)
		}
		return &corev3.TypedExtensionConfig{Name: "lua", TypedConfig: packed}
	}
	file := func(name string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: name}}
	}
	spell := func(path string) string { return "/." + path }

	m := lua(file("/a.lua"))
	if !NamesHost(m) || !Respell(m, spell) || !proto.Equal(m, lua(file("/./a.lua"))) {
		t.Errorf("a file became %v", m)
	}
	m = lua(&corev3.DataSource{Specifier: &corev3.DataSource_EnvironmentVariable{EnvironmentVariable: "LUA"}})
	if !NamesHost(m) || Respell(m, spell) {
		t.Errorf("a variable became %v", m)
	}
	m = lua(&corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: "/a.lua"}})
	if NamesHost(m) || Respell(m, spell) {
		t.Errorf("what is inline became %v", m)
	}
}
