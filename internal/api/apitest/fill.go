// Package apitest fills structs for tests, so that a field is noticed which is forgotten
// on the way from the server's own types to those of its API.
package apitest

import (
	"hash/fnv"
	"reflect"
	"strings"
	"time"
)

// Fill sets every exported field of what v points to, to a value that comes of the
// field's path and of nothing else: structs with the same fields are filled alike, and
// no two fields have the same text. Slices and maps have one element.
func Fill(v any) { fill(reflect.ValueOf(v).Elem(), nil) }

func fill(v reflect.Value, path []string) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(1e9+number(path), 0).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Join(path, "."))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(number(path))
	case reflect.Float64:
		v.SetFloat(float64(number(path)) + 0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), path)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), path)
	case reflect.Map:
		key, element := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, append(path[:len(path):len(path)], "key"))
		fill(element, path)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, element)
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(v.Type()) {
			if f.IsExported() && len(f.Index) == 1 {
				fill(v.FieldByIndex(f.Index), append(path[:len(path):len(path)], f.Name))
			}
		}
	default:
		panic("apitest.Fill: " + strings.Join(path, ".") + " is a " + v.Type().String())
	}
}

// number is one to a million, of a path.
func number(path []string) int64 {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(path, ".")))
	return int64(h.Sum64()%1_000_000) + 1
}
