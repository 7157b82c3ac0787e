package xdstest

import (
	"container/list"
	"reflect"
	"strings"
)

// Tables counts what the maps and slices hold that can be reached from a value, by the
// way to them: "fleets[].rollout.proxies". A test of what must not grow asks twice.
func Tables(v any) map[string]int {
	t := tables{sizes: map[string]int{}, seen: map[uintptr]bool{}}
	t.count("", reflect.ValueOf(v))
	return t.sizes
}

type tables struct {
	sizes map[string]int
	seen  map[uintptr]bool // pointers and maps
}

// ours is whether a type is this project's, whose fields are looked at.
func ours(t reflect.Type) bool {
	return t.PkgPath() == "" || strings.Contains(t.PkgPath(), "/waxwing/")
}

func (t *tables) count(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() || v.Kind() == reflect.Pointer && t.again(v.Pointer()) {
			return
		}
		t.count(path, v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[list.List]() {
			t.sizes[path] += int(v.FieldByName("len").Int())
		}
		for i := range v.NumField() {
			if ours(v.Type()) {
				t.count(strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), v.Field(i))
			}
		}
	case reflect.Map:
		if v.IsNil() || t.again(v.Pointer()) {
			return
		}
		t.sizes[path] += v.Len()
		for all := v.MapRange(); all.Next(); {
			t.count(path+"[]", all.Value())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 { // text, or a module
			return
		}
		t.sizes[path] += v.Len()
		for i := range v.Len() {
			t.count(path+"[]", v.Index(i))
		}
	default:
	}
}

func (t *tables) again(p uintptr) bool {
	before := t.seen[p]
	t.seen[p] = true
	return before
}
