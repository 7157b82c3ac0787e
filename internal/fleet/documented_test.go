package fleet

import (
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/waxwing-xds/waxwing/internal/golden"
)

// docs/fleet-file.md names each field of the file, and nothing that the parser refuses.
func TestFieldsAreDocumented(t *testing.T) {
	page := golden.Read(t, "../../docs/fleet-file.md")
	for _, field := range fieldsOf(reflect.TypeFor[document]()) {
		if !strings.Contains(page, "`"+field+"`") && !strings.Contains(page, "."+field+"`") {
			t.Errorf("docs/fleet-file.md does not say what `%s` is", field)
		}
	}
	for _, kind := range HostileKinds {
		if !strings.Contains(page, "`"+kind+"`") {
			t.Errorf("docs/fleet-file.md does not name the hostile requests %s", kind)
		}
	}
	_, after, _ := strings.Cut(page, "```yaml\n")
	example, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("docs/fleet-file.md has no example")
	}
	d := yaml.NewDecoder(strings.NewReader(example))
	d.KnownFields(true)
	if err := d.Decode(&document{}); err != nil {
		t.Errorf("the example of docs/fleet-file.md: %v", err)
	}
}

// fieldsOf lists the YAML names in a structure and in those below it.
func fieldsOf(t reflect.Type) []string {
	var names []string
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[yaml.Node]() {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if name := f.Tag.Get("yaml"); name != "" {
			names = append(names, strings.Split(name, ",")[0])
			names = append(names, fieldsOf(f.Type)...)
		}
	}
	return names
}
