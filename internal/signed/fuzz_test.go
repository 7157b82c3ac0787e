package signed_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/signed"
	"github.com/waxwing-xds/waxwing/internal/signed/signedtest"
)

// Whatever lies beside a module, and whatever is in the files that a rule names, nothing panics,
// and nothing passes that those who are named have not signed.
func FuzzVerify(f *testing.F) {
	key, s := signedtest.NewKey(signedtest.ECDSA), signedtest.NewSigstore(f)
	who := signedtest.Signing{Subject: ann, Issuer: issuer}
	f.Add(key.Sign(code), "", key.PEM(), s.Root(0))
	f.Add("AAAA", s.Bundle(code, who), key.PEM(), s.Root(0))
	f.Add("", s.Bundle(code, signedtest.Signing{Subject: ann, Issuer: issuer, NoProof: true}), key.PEM(), s.Root(signedtest.CTLog))
	f.Add("=", strings.Replace(s.Bundle(code, who), "v0.3", "v0.1", 1), key.PEM(), s.Root(signedtest.NoLog))
	f.Add(key.Sign(code), key.Bundle(code), key.PEM()+key.PEM(), s.Root(signedtest.NoClock))
	rule := annRule()
	rule.Keys = []fleet.Key{{File: "cosign.pub"}}
	other := module.New([]byte("never signed"))
	f.Fuzz(func(t *testing.T, plain, bundled, pem, root string) {
		there := files(rule, map[string]string{sig: plain, bundle: bundled, "cosign.pub": pem, "root.json": root})
		err := signed.Verify(rule, path, other, there)
		if err == nil || strings.Contains(err.Error(), "panics") {
			t.Errorf("%v (of %x)", err, sha256.Sum256([]byte(bundled)))
		}
	})
}
