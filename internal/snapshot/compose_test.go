package snapshot

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

// A filter that is tried beside another configuration of the same module gets VMs
// of its own, and is in all else what it will be in the real listener.
func TestComposeKeepsVMsApart(t *testing.T) {
	const file = "testdata/two_filters.yaml"
	replace := func(from, to string) func(string) string {
		return func(s string) string { return strings.Replace(s, from, to, 1) }
	}
	live := build(t, file, nil)
	for name, c := range map[string]struct {
		change func(string) string
		apart  bool
		vms    int // of both filters, in the real listener and the shadow
	}{
		"a listener":           {replace("stat_prefix: ingress", "stat_prefix: other"), false, 2},
		"plugin configuration": {replace("header: token", "header: other"), true, 3},
		"failure policy":       {replace("FAIL_RELOAD", "FAIL_CLOSED"), true, 3},
		"module":               {replace("auth.wasm", "other.wasm"), false, 3},
	} {
		t.Run(name, func(t *testing.T) {
			candidate := build(t, file, c.change)
			both := Compose(live, candidate, "")
			got, want := wasmOf(t, both, ShadowPrefix+"auth"), wasmOf(t, candidate, "auth")
			id, own := got.GetConfig().GetVmConfig().GetVmId(), want.GetConfig().GetVmConfig().GetVmId()
			if apart := id != own; apart != c.apart {
				t.Errorf("vm_id %s, and %s when it is served: apart %t, want %t", id, own, apart, c.apart)
			}
			got.GetConfig().GetVmConfig().VmId = own
			if !proto.Equal(got, want) {
				t.Errorf("it differs in more than its VM:\n%v\n%v", got, want)
			}
			if n := both.VMs(); n != c.vms {
				t.Errorf("%d VMs a worker, want %d", n, c.vms)
			}
			if back := wasmOf(t, Compose(candidate, live, ""), ShadowPrefix+"auth"); c.apart && back.GetConfig().GetVmConfig().GetVmId() != id {
				t.Error("after the flip the shadow runs in VMs that the proxy is yet to make")
			}
		})
	}
}
