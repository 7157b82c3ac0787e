package e2e

import (
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/signed/signedtest"
)

// A signed module is served; one that is altered, or comes before its signature, is not, and the one
// before goes on, also over a restart; when the signature comes, it is served without a further save.
func TestSignedModule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, other := signedtest.NewKey(signedtest.ECDSA), signedtest.NewKey(signedtest.Ed25519)
	write(t, w.server.File("cosign.pub"), []byte(key.PEM()))
	w.Flags = append(w.Flags, "--verify", "{keys: [{file: "+w.server.File("operator.pub")+"}]}")
	write(t, w.server.File("operator.pub"), []byte(other.PEM()))
	sign := func(module []byte) {
		t.Helper()
		save(t, w.module+".sig", []byte(key.Sign(module)))
		save(t, w.module+".sigstore.json", []byte(other.Bundle(module)))
	}
	sign(gate(t, 1))
	fleet := strings.Replace(string(w.fleetYAML(fleetOptions{Rollout: straight, Checks: checks})), "fleet: edge\n", "fleet: edge\nverify: {keys: [{file: cosign.pub}]}\n", 1)
	w.begins([]byte(fleet), gate(t, 1))
	proxies := w.proxies(2)
	stop := users(proxies)
	serves := func(n int) {
		t.Helper()
		for _, p := range proxies {
			p.runs("x-build", build(n))
			p.guards()
		}
	}
	serves(1)
	save(t, w.module, gate(t, 2))
	w.problem("fleet.yaml:6: module ")
	w.problem("it is a signature of other bytes")
	serves(1)
	w.crashServer()
	w.problem("it is a signature of other bytes")
	serves(1)
	sign(gate(t, 2))
	serves(2)
	w.problem("")
	sign(gate(t, 3)) // before the module
	w.problem("it is a signature of other bytes")
	serves(2)
	save(t, w.module, gate(t, 3))
	serves(3)
	w.problem("")
	save(t, w.server.File("cosign.pub"), []byte(signedtest.NewKey(signedtest.ECDSA).PEM())) // the key is taken out
	w.problem("is refused by verify of ")
	serves(3)
	if wrong := stop(); len(wrong) > 0 {
		t.Errorf("%d wrong answers, the first: %s", len(wrong), wrong[0])
	}
	w.noneRejected()
}
