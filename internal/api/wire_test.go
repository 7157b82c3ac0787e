package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/api/apitest"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/*.json anew")

// The names on the wire are in testdata: users' scripts read them, and servers and
// clients of other versions do. `go test ./internal/api -rewrite` writes them anew: a line
// that is gone is a script that breaks.
func TestWire(t *testing.T) {
	golden[api.Status](t, "status")
	golden[api.ProxyPage](t, "proxies")
	golden[api.Event](t, "event")
	golden[[]api.Entry](t, "history")
	golden[api.Difference](t, "diff")
	golden[api.Command](t, "command")
	golden[[]api.Claim](t, "claims")
	golden[[]api.Move](t, "moves")
	golden[api.Error](t, "error")
}

func golden[T any](t *testing.T, name string) {
	t.Helper()
	var filled, again T
	apitest.Fill(&filled)
	want := encode(t, filled)
	compare(t, name, want)
	d := json.NewDecoder(bytes.NewReader(want))
	d.DisallowUnknownFields()
	if err := d.Decode(&again); err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
	if back := encode(t, again); !bytes.Equal(back, want) {
		t.Errorf("%s, read and written, is\n%s", name, back)
	}
}

// compare holds what is on the wire against testdata.
func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".json")
	if *rewrite {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not written as in %s (`go test ./internal/api -rewrite` if it is meant):\n%s", name, path, got)
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
