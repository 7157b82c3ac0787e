package api_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/api/apitest"
	"github.com/waxwing-xds/waxwing/internal/golden"
)

// The names on the wire are in testdata: users' scripts read them, and servers and
// clients of other versions do. `go test ./internal/api -rewrite` writes them anew: a line
// that is gone is a script that breaks.
func TestWire(t *testing.T) {
	wire[api.Status](t, "status")
	wire[api.ProxyPage](t, "proxies")
	wire[api.Event](t, "event")
	wire[[]api.Entry](t, "history")
	wire[api.Difference](t, "diff")
	wire[api.Command](t, "command")
	wire[[]api.Claim](t, "claims")
	wire[[]api.Move](t, "moves")
	wire[api.Error](t, "error")
}

func wire[T any](t *testing.T, name string) {
	t.Helper()
	var filled, again T
	apitest.Fill(&filled)
	want := encode(t, filled)
	golden.Compare(t, "testdata/"+name+".json", string(want))
	d := json.NewDecoder(bytes.NewReader(want))
	d.DisallowUnknownFields()
	if err := d.Decode(&again); err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
	if back := encode(t, again); !bytes.Equal(back, want) {
		t.Errorf("%s, read and written, is\n%s", name, back)
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}
