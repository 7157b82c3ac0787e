package main

import (
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// A file that is gone is not listed as one that is there.
func TestFleetsAndTheirFiles(t *testing.T) {
	var out strings.Builder
	if err := printFleets(&out, []api.Fleet{
		{Fleet: "a", File: "a.yaml", Disk: api.Disk{State: api.DiskServed, File: "a.yaml"}},
		{Fleet: "b", File: "b.yaml", Disk: api.Disk{State: api.DiskReading}},
		{Fleet: "c", File: "c.yaml", Disk: api.Disk{State: api.DiskNothing}, Retired: &api.Retirement{}},
		{Fleet: "d", Disk: api.Disk{State: api.DiskNothing}, Retired: &api.Retirement{}},
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0        a.yaml\n", "0        b.yaml\n", "0        c.yaml (gone)\n", "0        -\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
