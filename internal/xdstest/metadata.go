package xdstest

import (
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// Metadata is a node's, of JSON.
func Metadata(t testing.TB, text string) *structpb.Struct {
	t.Helper()
	var m structpb.Struct
	if err := protojson.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return &m
}
