package rollout

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"
)

// fill sets all exported fields of a value to something other than zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 0).UTC()))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint64:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	default:
		panic(fmt.Sprintf("a %s is stored: say here how it is filled", v.Type()))
	}
}

// neverWritten are what a copy may share: once it is made nothing writes to it.
var neverWritten = map[string]bool{"Plan": true}

// shared lists the maps, slices and pointers that two values have in common.
func shared(path string, a, b reflect.Value) []string {
	switch a.Kind() {
	case reflect.Struct:
		var out []string
		for i := range a.NumField() {
			if f := a.Type().Field(i); f.IsExported() && !neverWritten[f.Name] && a.Type() != reflect.TypeFor[time.Time]() {
				out = append(out, shared(path+"."+f.Name, a.Field(i), b.Field(i))...)
			}
		}
		return out
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if a.Pointer() == b.Pointer() {
			return []string{path}
		}
		if a.Kind() == reflect.Pointer {
			return shared(path, a.Elem(), b.Elem())
		}
	default:
	}
	return nil
}

// A copy has all that is stored, and shares nothing that a later step writes to:
// another goroutine reads it meanwhile.
func TestCopy(t *testing.T) {
	var f Fleet
	fill(reflect.ValueOf(&f).Elem())
	c := f.Copy()
	want, err := json.Marshal(&f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(&c)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the copy is\n%s\nof\n%s", got, want)
	}
	if both := shared("Fleet", reflect.ValueOf(f), reflect.ValueOf(c)); len(both) > 0 {
		t.Errorf("the copy shares %v", both)
	}
}
