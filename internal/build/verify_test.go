package build

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/signed/signedtest"
)

// signedYAML is gatedYAML with a rule: line 2 of the file.
func signedYAML(modules ...string) string {
	rest, _ := strings.CutPrefix(gatedYAML(modules...), "fleet: edge\n")
	return "fleet: edge\nverify: {keys: [{file: cosign.pub}]}\n" + rest
}

// wantErr has the newest of what is said of a file be an error, or that it is built.
func (d *disk) wantErr(t *testing.T, reason string) {
	t.Helper()
	saved, built := d.says()
	var err error
	for _, s := range saved {
		for _, f := range s.Files {
			err = f.Err
			if f.Pending && !f.Trying.IsZero() {
				err = nil
			}
		}
	}
	for _, b := range built {
		if err = b.Err; b.Snapshot != nil {
			t.Errorf("a revision is built where it should be refused: %s", reason)
		}
	}
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("%v, want %q", err, reason)
	}
}

// A module and its signature may be saved one after the other, in both orders, or at once; the fleet
// file is left alone.
func TestSignatureComesLater(t *testing.T) {
	key := signedtest.NewKey(signedtest.ECDSA)
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": signedYAML("a.wasm")})
		if want := []string{"fleet.yaml", "a.wasm", "a.wasm.sig", "a.wasm.sigstore.json", "cosign.pub"}; !slices.Equal(d.watched, want) {
			t.Errorf("watched are %v, want %v", d.watched, want)
		}
		d.save(map[string]string{"a.wasm": "one", "a.wasm.sig": gone, "a.wasm.sigstore.json": gone, "cosign.pub": key.PEM()})
		d.wantErr(t, "fleet.yaml:4: module a.wasm (sha256 7692c3ad3540) is refused by verify of fleet.yaml:2: it is not signed: a.wasm.sig or a.wasm.sigstore.json is awaited beside it")
		d.save(map[string]string{"a.wasm.sig": key.Sign([]byte("one"))})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"a.wasm": "two"}) // the module first
		d.wantErr(t, "a.wasm.sig: it is a signature of other bytes, or by none of the keys that are named; if the module was saved before its signature, that is awaited")
		d.save(map[string]string{"a.wasm.sig": key.Sign([]byte("two"))})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"a.wasm.sig": key.Sign([]byte("three"))}) // the signature first
		d.wantErr(t, "other bytes")
		d.save(map[string]string{"a.wasm": "three"})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"a.wasm": "four", "a.wasm.sig": key.Sign([]byte("four"))}) // at once
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"a.wasm.sig": gone})
		d.wantErr(t, "it is not signed")
		d.save(map[string]string{"a.wasm.sigstore.json": key.Bundle([]byte("four"))})
		d.wantBuilt(t, "edge")
	})
}

// A key that is not named any more is one by which nothing is built again.
func TestKeyIsRotated(t *testing.T) {
	old, fresh := signedtest.NewKey(signedtest.ECDSA), signedtest.NewKey(signedtest.Ed25519)
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": signedYAML("a.wasm")})
		d.save(map[string]string{"a.wasm": "one", "a.wasm.sig": old.Sign([]byte("one")), "a.wasm.sigstore.json": gone, "cosign.pub": old.PEM()})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"cosign.pub": old.PEM() + fresh.PEM()})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"a.wasm": "two", "a.wasm.sig": fresh.Sign([]byte("two"))})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"a.wasm": "one", "a.wasm.sig": old.Sign([]byte("one"))})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"cosign.pub": fresh.PEM()})
		d.wantErr(t, "none of the keys that are named")
		d.Again("fleet.yaml", "ann")
		d.wantErr(t, "none of the keys that are named")
		d.save(map[string]string{"a.wasm.sig": fresh.Sign([]byte("one"))})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"cosign.pub": gone})
		d.wantErr(t, "fleet.yaml:4: module a.wasm (sha256 7692c3ad3540) is refused by verify of fleet.yaml:2: key file cosign.pub does not exist")
	})
}

// What the operator wants holds besides what a file says, and where a file says nothing.
func TestOperatorsRule(t *testing.T) {
	team, operator := signedtest.NewKey(signedtest.ECDSA), signedtest.NewKey(signedtest.ECDSA)
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.maker.Verify = &fleet.Verify{Place: "xds.yaml", Keys: []fleet.Key{{File: "/etc/operator.pub"}}}
		d.save(map[string]string{"fleet.yaml": gatedYAML("a.wasm")})
		d.save(map[string]string{"a.wasm": "one", "a.wasm.sig": gone, "a.wasm.sigstore.json": gone, "/etc/operator.pub": operator.PEM()})
		d.wantErr(t, "fleet.yaml:3: module a.wasm (sha256 7692c3ad3540) is refused by verify of xds.yaml: it is not signed")
		d.save(map[string]string{"a.wasm.sig": operator.Sign([]byte("one"))})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"fleet.yaml": signedYAML("a.wasm"), "cosign.pub": team.PEM()})
		d.save(map[string]string{"cosign.pub": team.PEM()})
		d.wantErr(t, "is refused by verify of fleet.yaml:2: a.wasm.sig: it is a signature of other bytes")
		d.save(map[string]string{"a.wasm.sig": team.Sign([]byte("one"))})
		d.wantErr(t, "is refused by verify of xds.yaml: a.wasm.sig: it is a signature of other bytes")
		d.save(map[string]string{"a.wasm.sigstore.json": operator.Bundle([]byte("one"))})
		d.wantBuilt(t, "edge")
	})
}

// What is not signed does not run, be it in the sandbox.
func TestNothingUnsignedIsTried(t *testing.T) {
	key := signedtest.NewKey(signedtest.ECDSA)
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": signedYAML("a.wasm")})
		d.save(map[string]string{"a.wasm": "one", "a.wasm.sig": gone, "a.wasm.sigstore.json": gone, "cosign.pub": key.PEM()})
		d.draft(map[string]string{"a.wasm": "two"})
		d.draft(map[string]string{"a.wasm.sig": key.Sign([]byte("two"))})
		d.draft(map[string]string{"fleet.yaml": signedYAML("a.wasm") + "# other\n"})
		if d.says(); d.box.tried != 0 {
			t.Errorf("what is not signed was tried %d times", d.box.tried)
		}
		d.save(map[string]string{"a.wasm": "two", "a.wasm.sig": key.Sign([]byte("two"))})
		if d.wantBuilt(t, "edge"); d.box.tried != 1 {
			t.Errorf("tried %d times", d.box.tried)
		}
	})
}

// A file that is a part of a fleet already is told of once, and may be a part of another kind later.
func TestFileIsTwoParts(t *testing.T) {
	key := signedtest.NewKey(signedtest.ECDSA)
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": gatedYAML("a.wasm", "a.wasm.sig", "cosign.pub")})
		d.save(map[string]string{"a.wasm": "one", "a.wasm.sig": key.Sign([]byte("one")), "cosign.pub": key.PEM()})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"fleet.yaml": signedYAML("a.wasm")})
		d.save(map[string]string{"a.wasm.sigstore.json": gone})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"fleet.yaml": gatedYAML("cosign.pub", "a.wasm.sigstore.json")})
		d.wantErr(t, "module a.wasm.sigstore.json does not exist")
	})
}

// Wasm code among the resources is no module, and nobody has signed it.
func TestCodeAmongResources(t *testing.T) {
	key := signedtest.NewKey(signedtest.ECDSA)
	code := `
  clusters:
    - name: c
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {http_protocol_options: {}}
          http_filters:
            - name: wasm
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                config: {vm_config: {runtime: envoy.wasm.runtime.v8, code: {local: {inline_bytes: AGFzbQEAAAA=}}}}
            - name: envoy.filters.http.upstream_codec
              typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}
`
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": plainYAML("edge", 1) + strings.TrimPrefix(code, "\n")})
		d.wantBuilt(t, "edge")
		d.save(map[string]string{"fleet.yaml": plainYAML("edge", 1) + strings.TrimPrefix(code, "\n") + "verify: {keys: [{pem: " + fmt.Sprintf("%q", key.PEM()) + "}]}\n"})
		d.wantErr(t, "Wasm code among the resources is refused by verify of fleet.yaml:2")
	})
}

// A wrong is a kind of module that is not signed as it must be; make gives one, which differs from the
// last one by chance.
type wrong struct {
	tries int
	name  string
	make  func(*rand.Rand) map[string]string
}

// wrongs are the kinds: the good key and ann of the issuer i sign. Whatever is certified is so in the time
// of the world.
func wrongs(t *testing.T, good *signedtest.Key, s *signedtest.Sigstore, code []byte) []wrong {
	t.Helper()
	rotated, other, foreign := signedtest.NewKey(signedtest.Ed25519), signedtest.NewKey(signedtest.Ed25519ph), signedtest.NewSigstore(t)
	ann := signedtest.Signing{Subject: "ann", Issuer: "i"}
	by := func(change func(*signedtest.Signing)) string {
		signing := ann
		change(&signing)
		return s.Bundle(code, signing)
	}
	one := func(random *rand.Rand, of ...string) string { return of[random.IntN(len(of))] }
	bundled := func(bundles ...string) func(*rand.Rand) map[string]string {
		return func(random *rand.Rand) map[string]string {
			return map[string]string{"a.wasm": string(code), "a.wasm.sig": gone, "a.wasm.sigstore.json": one(random, bundles...)}
		}
	}
	signed := func(sign func(altered []byte, random *rand.Rand) (sig, bundle string)) func(*rand.Rand) map[string]string {
		return func(random *rand.Rand) map[string]string {
			altered := bytes.Clone(code)
			altered[random.IntN(len(altered))] ^= byte(1 + random.IntN(255))
			sig, bundle := sign(altered, random)
			return map[string]string{"a.wasm": string(altered), "a.wasm.sig": sig, "a.wasm.sigstore.json": bundle}
		}
	}
	return []wrong{
		{1000, "unsigned", signed(func([]byte, *rand.Rand) (string, string) { return gone, gone })},
		{1000, "altered", signed(func(_ []byte, random *rand.Rand) (string, string) {
			return good.Sign(code), one(random, good.Bundle(code), s.Bundle(code, ann))
		})},
		{1000, "by another key", signed(func(m []byte, _ *rand.Rand) (string, string) { return other.Sign(m), other.Bundle(m) })},
		{1000, "by a key that was rotated out", signed(func(m []byte, _ *rand.Rand) (string, string) { return rotated.Sign(m), rotated.Bundle(m) })},
		{1000, "expired, or not yet valid", bundled(by(func(s *signedtest.Signing) { s.Logged = 11 * time.Minute }), by(func(s *signedtest.Signing) { s.Logged = -time.Minute }))},
		{100, "by another identity", bundled(by(func(s *signedtest.Signing) { s.Subject = "bob" }), by(func(s *signedtest.Signing) { s.Issuer = "j" }), foreign.Bundle(code, ann))},
		{100, "without a log, or in another one", bundled(by(func(s *signedtest.Signing) { s.NoLog = true }), by(func(s *signedtest.Signing) { s.OtherLog = foreign }))},
		{100, "of another module", bundled(s.Bundle([]byte("other"), ann), good.Bundle([]byte("other")))},
		{100, "cut, or empty", signed(func(m []byte, random *rand.Rand) (string, string) {
			cut := 1 + random.IntN(80)
			return one(random, "", good.Sign(m)[cut:]), one(random, "{}", good.Bundle(m)[cut:])
		})},
	}
}

// A thousand things of each kind that are wrong, or a hundred, and not one of them is built. That certificates have long
// expired is no matter: what counts is when they were used.
func TestNothingWrongIsBuilt(t *testing.T) {
	good, s := signedtest.NewKey(signedtest.ECDSA), signedtest.NewSigstore(t)
	code := bytes.Repeat([]byte("module "), 100)
	random, certified := rand.New(rand.NewPCG(10, 14)), s.Bundle(code, signedtest.Signing{Subject: "ann", Issuer: "i"})
	root, kinds := s.Root(0), wrongs(t, good, s, code)
	inBubble(t, "fleet.yaml", func(t *testing.T, d *disk) {
		d.save(map[string]string{"fleet.yaml": strings.Replace(signedYAML("a.wasm"), "{file: cosign.pub}]",
			"{file: cosign.pub}], identities: [{issuer: i, subject: ann}], trusted_root: {file: root.json}", 1)})
		d.save(map[string]string{"a.wasm": string(code), "a.wasm.sig": good.Sign(code), "a.wasm.sigstore.json": gone, "cosign.pub": good.PEM(), "root.json": root})
		d.wantBuilt(t, "edge")
		for _, kind := range kinds {
			refused := 0
			for range kind.tries {
				saved := kind.make(random)
				d.save(saved)
				_, built := d.says()
				for _, b := range built {
					if refused++; b.Snapshot != nil || b.Err == nil {
						t.Errorf("it is built, %s: %v", kind.name, saved)
					}
				}
			}
			if refused != kind.tries {
				t.Errorf("%s: %d of %d were refused", kind.name, refused, kind.tries)
			}
		}
		if d.box.tried != 1 {
			t.Errorf("%d came to the sandbox besides the good one", d.box.tried-1)
		}
		d.save(map[string]string{"a.wasm": string(code), "a.wasm.sig": gone, "a.wasm.sigstore.json": certified})
		d.wantBuilt(t, "edge")
	})
}
