package signed_test

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/signed"
	"github.com/waxwing-xds/waxwing/internal/signed/signedtest"
)

var code = bytes.Repeat([]byte("\x00asm\x01\x00\x00\x00 a module "), 50)

// Each kind of key signs, by itself and in a bundle; another key does not.
func TestKeys(t *testing.T) {
	for _, kind := range signedtest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			key, other := signedtest.NewKey(kind), signedtest.NewKey(kind)
			for _, rule := range []*fleet.Verify{keysRule(key), keysRule(other, key)} {
				wantPassed(t, rule, code, map[string]string{sig: key.Sign(code)})
				wantPassed(t, rule, code, map[string]string{sig: key.Sign(code) + "\n"})
				wantPassed(t, rule, code, map[string]string{bundle: key.Bundle(code)})
				wantPassed(t, rule, code, map[string]string{sig: "of the module before", bundle: key.Bundle(code)})
				wantPassed(t, rule, code, map[string]string{sig: key.Sign(code), bundle: "{}"})
			}
			none := "it is a signature of other bytes, or by none of the keys that are named"
			wantRefused(t, keysRule(other), code, map[string]string{sig: key.Sign(code)}, sig+": "+none)
			wantRefused(t, keysRule(other), code, map[string]string{bundle: key.Bundle(code)}, bundle+": "+none)
			wantRefused(t, keysRule(key), code, map[string]string{sig: key.Sign([]byte("other"))}, none)
			wantRefused(t, keysRule(key), code, map[string]string{bundle: key.Bundle([]byte("other"))}, "it is of other bytes (sha256 ")
		})
	}
}

// A rotation names the old key and the new, then the new alone.
func TestRotation(t *testing.T) {
	old, fresh := signedtest.NewKey(signedtest.ECDSA), signedtest.NewKey(signedtest.Ed25519)
	rule := &fleet.Verify{Place: "xds.yaml", Keys: []fleet.Key{{File: "keys.pem"}}}
	by := func(pem string, key *signedtest.Key) map[string]string {
		return map[string]string{"keys.pem": pem, sig: key.Sign(code)}
	}
	wantPassed(t, rule, code, by(old.PEM(), old))
	wantRefused(t, rule, code, by(old.PEM(), fresh), "none of the keys that are named")
	wantPassed(t, rule, code, by(old.PEM()+fresh.PEM(), old))
	wantPassed(t, rule, code, by(old.PEM()+fresh.PEM(), fresh))
	wantPassed(t, rule, code, by(fresh.PEM(), fresh))
	wantRefused(t, rule, code, by(fresh.PEM(), old), "none of the keys that are named")
}

// What is there and is no signature is said.
func TestNoSignature(t *testing.T) {
	key := signedtest.NewKey(signedtest.ECDSA)
	rule := keysRule(key)
	wantRefused(t, rule, code, nil, "it is not signed: auth.wasm.sig or auth.wasm.sigstore.json is awaited beside it")
	attestation := `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":""}},` +
		`"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AAAA"}]}}`
	for text, reason := range map[string]string{
		"": "it is empty", "\n": "it is empty", "¬": "is not a signature in base64",
		"A" + key.Sign(code):             "is not a signature in base64",
		key.Sign(code) + "\n" + "=":      "is not a signature in base64",
		"AAAA":                           "none of the keys",
		strings.Repeat("A", 1<<20) + "=": "has more than 1048576 bytes",
	} {
		wantRefused(t, rule, code, map[string]string{sig: text}, reason)
	}
	for text, reason := range map[string]string{
		"": "it is not a Sigstore bundle", "{}": "it is not a Sigstore bundle", "null": "it is not a Sigstore bundle",
		"[[[[": "it is not a Sigstore bundle", key.Sign(code): "it is not a Sigstore bundle",
		key.Bundle(code)[:80]: "it is not a Sigstore bundle",
		attestation:           "it is an attestation, which says something about the module",
	} {
		wantRefused(t, rule, code, map[string]string{bundle: text}, bundle+": "+reason)
		wantRefused(t, rule, code, map[string]string{bundle: text}, "; if the module was saved before its signature, that is awaited")
	}
	wantRefused(t, rule, code, map[string]string{sig: "AAAA", bundle: "{}"}, "auth.wasm.sigstore.json: it is not")
}

// What a rule names, and what lies beside a module, may be a secret that somebody has named by mistake,
// or to have it logged.
func TestNothingIsRepeated(t *testing.T) {
	key := signedtest.NewKey(signedtest.ECDSA)
	for _, secret := range []string{"s3cret", `{"s3cret": "s3cret"}`, `"s3cret`, "-----BEGIN s3cret-----\nAAAA\n-----END s3cret-----\n", "[s3cret"} {
		both := annRule()
		both.Keys = []fleet.Key{{File: "cosign.pub"}}
		for _, there := range []map[string]string{
			{"cosign.pub": secret}, {"cosign.pub": key.PEM(), "root.json": secret}, {"cosign.pub": key.PEM() + secret},
			{"cosign.pub": key.PEM(), "root.json": signedtest.NewSigstore(t).Root(0), sig: secret, bundle: secret},
		} {
			err := signed.Verify(both, path, module.New(code), files(both, there))
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v says what is in a file", err)
			}
		}
	}
}

// A rule of which a part can't be read lets nothing pass.
func TestBrokenRule(t *testing.T) {
	key := signedtest.NewKey(signedtest.ECDSA)
	good := map[string]string{sig: key.Sign(code), "good.pem": key.PEM()}
	for pem, reason := range map[string]string{
		"": "key file bad.pem: it holds no public key in PEM", "ssh-ed25519 AAAA": "it holds no public key",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n": "it holds a private key",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n":   "can't be read",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": "something other than a PUBLIC KEY",
		key.PEM() + "-----BEGIN PUBLIC KEY-----\n half of one":           "it holds PEM that can't be read",
		strings.Repeat(key.PEM(), 33):                                    "it holds more than 32 keys",
		strings.Replace(key.PEM(), "PUBLIC KEY", "RSA PUBLIC KEY", 2):    "something other than a PUBLIC KEY",
	} {
		rule := &fleet.Verify{Place: "fleet.yaml:2", Keys: []fleet.Key{{File: "good.pem"}, {File: "bad.pem"}}}
		good["bad.pem"] = pem
		wantRefused(t, rule, code, good, reason)
	}
	delete(good, "bad.pem")
	wantRefused(t, &fleet.Verify{Place: "xds.yaml", Keys: []fleet.Key{{File: "good.pem"}, {File: "bad.pem"}}}, code, good, "key file bad.pem does not exist")
	wantRefused(t, &fleet.Verify{Place: "xds.yaml"}, code, good, "it names nobody who signs")
	wantRefused(t, &fleet.Verify{Place: "xds.yaml", Identities: []fleet.Identity{{Issuer: "i", Subject: "s"}}, TrustedRoot: "root.json"}, code, good, "trusted root root.json does not exist")
}

// Whatever byte of a module or of its signature is another, it does not pass.
func TestAltered(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 10))
	for _, kind := range signedtest.Kinds {
		key := signedtest.NewKey(kind)
		rule, text := keysRule(key), key.Sign(code)
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			altered := bytes.Clone(code)
			altered[random.IntN(len(altered))] ^= byte(1 + random.IntN(255))
			wantRefused(t, rule, altered, map[string]string{sig: text}, "other bytes")
			wantRefused(t, rule, altered, map[string]string{bundle: key.Bundle(code)}, "it is of other bytes")
			wantRefused(t, rule, code[:random.IntN(len(code))], map[string]string{sig: text}, "other bytes")
		}
		for i := range raw {
			altered := bytes.Clone(raw)
			altered[i] ^= byte(1 + random.IntN(255))
			wantRefused(t, rule, code, map[string]string{sig: base64.StdEncoding.EncodeToString(altered)}, "other bytes")
		}
		for i := range text {
			for _, with := range []string{"A", "B", "=", " ", "\x00", "é"} {
				if altered := text[:i] + with + text[i+1:]; altered != text && strings.TrimSpace(altered) != text {
					wantRefused(t, rule, code, map[string]string{sig: altered}, sig)
				}
			}
		}
	}
}
