package signed_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/signed"
	"github.com/waxwing-xds/waxwing/internal/signed/signedtest"
)

const (
	ann    = "ann@example.org"
	issuer = "https://id.example.org"
)

func identityRule(ids ...fleet.Identity) *fleet.Verify {
	return &fleet.Verify{Place: "fleet.yaml:2", Identities: ids, TrustedRoot: "root.json"}
}

// annRule is the rule of most tests.
func annRule() *fleet.Verify { return identityRule(fleet.Identity{Issuer: issuer, Subject: ann}) }

// Who is named signs, however that is spelt; nobody else does.
func TestIdentities(t *testing.T) {
	s := signedtest.NewSigstore(t)
	there := map[string]string{"root.json": s.Root(0), bundle: s.Bundle(code, signedtest.Signing{Subject: ann, Issuer: issuer})}
	for _, id := range []fleet.Identity{
		{Issuer: issuer, Subject: ann}, {IssuerRegexp: `https://.*\.org`, Subject: ann},
		{Issuer: issuer, SubjectRegexp: `.*@example\.org`}, {IssuerRegexp: ".*", SubjectRegexp: "bob@.*|ann@.*"},
	} {
		wantPassed(t, identityRule(id), code, there)
		wantPassed(t, identityRule(fleet.Identity{Issuer: issuer, Subject: "bob"}, id), code, there)
	}
	for _, id := range []fleet.Identity{
		{Issuer: issuer, Subject: "bob@example.org"}, {Issuer: "https://id.example.com", Subject: ann},
		{Issuer: issuer, Subject: "ann"}, {Issuer: "https://id.example.or", Subject: ann}, {Issuer: issuer + "/", Subject: ann},
		{Issuer: issuer, SubjectRegexp: "ann"}, {Issuer: issuer, SubjectRegexp: "example.org"}, {Issuer: issuer, SubjectRegexp: "ann|x"},
		{IssuerRegexp: "https://id", Subject: ann}, {IssuerRegexp: "id.example.org", Subject: ann},
	} {
		wantRefused(t, identityRule(id), code, there, "failed to verify certificate identity")
	}
	key := signedtest.NewKey(signedtest.ECDSA)
	there["cosign.pub"] = key.PEM()
	both := identityRule(fleet.Identity{Issuer: issuer, Subject: ann})
	both.Keys = []fleet.Key{{File: "cosign.pub"}}
	wantPassed(t, both, code, there)
	delete(there, bundle)
	there[sig] = key.Sign(code)
	wantPassed(t, both, code, there)
	wantRefused(t, annRule(), code, there, "a signature alone is of a key, and the rule names identities: a bundle is wanted")
	there[bundle] = key.Bundle(code)
	wantRefused(t, annRule(), code, there, "it is signed by a key, and the rule names identities alone")
	wantRefused(t, keysRule(key), code, map[string]string{bundle: s.Bundle(code, signedtest.Signing{Subject: ann, Issuer: issuer})}, "it is signed by an identity, and the rule names keys alone")
}

// Evidence of all kinds that the root names somebody for must be there, and be right.
func TestEvidence(t *testing.T) {
	s, other := signedtest.NewSigstore(t), signedtest.NewSigstore(t)
	of := func(parts signedtest.Part, how signedtest.Signing) map[string]string {
		how.Subject, how.Issuer = ann, issuer
		return map[string]string{"root.json": s.Root(parts), bundle: s.Bundle(code, how)}
	}
	wantPassed(t, annRule(), code, of(0, signedtest.Signing{}))
	wantPassed(t, annRule(), code, of(0, signedtest.Signing{NoClock: true}))
	wantPassed(t, annRule(), code, of(signedtest.NoClock, signedtest.Signing{NoClock: true}))
	wantPassed(t, annRule(), code, of(signedtest.NoLog, signedtest.Signing{}))
	wantPassed(t, annRule(), code, of(signedtest.NoLog, signedtest.Signing{NoLog: true}))

	wantRefused(t, annRule(), code, of(0, signedtest.Signing{NoLog: true}), "failed to verify log inclusion")
	wantRefused(t, annRule(), code, of(0, signedtest.Signing{NoClock: true, NoSET: true}), "failed to verify timestamps")
	wantRefused(t, annRule(), code, of(signedtest.NoLog, signedtest.Signing{NoClock: true}), "failed to verify timestamps")
	wantRefused(t, annRule(), code, of(0, signedtest.Signing{OtherLog: other}), "failed to verify log inclusion")
	wantRefused(t, annRule(), code, of(0, signedtest.Signing{NoProof: true}), "inclusion proof missing in bundle")
	wantRefused(t, annRule(), code, of(signedtest.CTLog, signedtest.Signing{}), "failed to verify signed certificate timestamp")
	wantRefused(t, annRule(), code, of(0, signedtest.Signing{Logged: 20 * time.Minute}), "integrated time outside certificate validity")
	wantRefused(t, annRule(), code, of(0, signedtest.Signing{Logged: -20 * time.Minute}), "integrated time outside certificate validity")
	wantRefused(t, annRule(), code, of(signedtest.NoLog|signedtest.NoClock, signedtest.Signing{}), "trusted root root.json: it names neither a log nor a timestamp authority")

	foreign := of(0, signedtest.Signing{})
	foreign["root.json"] = other.Root(0)
	wantRefused(t, annRule(), code, foreign, "failed to verify")
	for _, root := range []string{"", "{}", "null", "[]", foreign[bundle], "{", `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`} {
		foreign["root.json"] = root
		wantRefused(t, annRule(), code, foreign, "trusted root root.json: it ")
	}
}

// Whatever byte of a module is another, it does not pass; of a bundle, it passes where the byte says
// nothing, and is still for the same module alone.
func TestAlteredBundle(t *testing.T) {
	s := signedtest.NewSigstore(t)
	random := rand.New(rand.NewPCG(15, 14))
	text, root := s.Bundle(code, signedtest.Signing{Subject: ann, Issuer: issuer}), s.Root(0)
	bob := identityRule(fleet.Identity{Issuer: issuer, Subject: "bob"})
	for range 100 {
		altered := bytes.Clone(code)
		altered[random.IntN(len(altered))] ^= byte(1 + random.IntN(255))
		wantRefused(t, annRule(), altered, map[string]string{"root.json": root, bundle: text}, "it is of other bytes")

		odd := []byte(text)
		odd[random.IntN(len(odd))] ^= byte(1 + random.IntN(255))
		there := map[string]string{"root.json": root, bundle: string(odd)}
		for _, wrong := range []struct {
			rule *fleet.Verify
			code []byte
		}{{annRule(), altered}, {bob, code}} {
			if signed.Verify(wrong.rule, path, module.New(wrong.code), files(wrong.rule, there)) == nil {
				t.Errorf("it passes for something else: %s", odd)
			}
		}
	}
}
