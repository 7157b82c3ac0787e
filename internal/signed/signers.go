package signed

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// signers are who a rule names.
type signers struct {
	keys     []signature.Verifier
	identity *identities // nil where the rule names none
}

// signersOf reads what a rule names. A rule of which a part can't be read lets nothing pass: it is
// not what a person meant.
func signersOf(rule *fleet.Verify, files Files) (*signers, error) {
	s := &signers{}
	for i, key := range rule.Keys {
		text, name := []byte(key.PEM), fmt.Sprintf("key %d", i+1)
		if key.File != "" {
			data, err := files.read(key.File)
			if err != nil {
				return nil, fmt.Errorf("key file %w", err)
			}
			text, name = data, "key file "+key.File
		}
		keys, err := fleet.PublicKeys(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, key := range keys {
			s.keys = append(s.keys, verifiersOf(key)...)
		}
	}
	if len(rule.Identities) > 0 {
		data, err := files.read(rule.TrustedRoot)
		if err != nil {
			return nil, fmt.Errorf("trusted root %w", err)
		}
		err = caught(func() error { s.identity, err = identitiesOf(rule.Identities, data); return err })
		if err != nil {
			return nil, fmt.Errorf("trusted root %s: %w", rule.TrustedRoot, err)
		}
	}
	if len(s.keys) == 0 && s.identity == nil {
		return nil, errors.New("it names nobody who signs")
	}
	return s, nil
}

// verifiersOf are the ways in which a key signs. Of an Ed25519 key cosign signs the bytes, or, where
// the signature goes to a log, their SHA-512 (Ed25519ph).
func verifiersOf(key crypto.PublicKey) []signature.Verifier {
	var out []signature.Verifier
	add := func(v signature.Verifier, err error) {
		if err == nil {
			out = append(out, v)
		}
	}
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		add(signature.LoadVerifier(key, crypto.SHA256))
	case ed25519.PublicKey:
		add(signature.LoadVerifier(key, crypto.SHA256)) // which has a hash of its own
		add(signature.LoadVerifierWithOpts(key, options.WithED25519ph()))
	}
	return out
}

// verify says why what is in a file is no signature of a module by one of the signers.
func (s *signers) verify(isBundle bool, data []byte, m *module.Module) error {
	if isBundle {
		return s.bundle(data, m)
	}
	if len(s.keys) == 0 {
		return errors.New("a signature alone is of a key, and the rule names identities: a bundle is wanted")
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSpace(data)))
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return errors.New("it is empty")
	case err != nil:
		return errors.New("it is not a signature in base64, as cosign writes it")
	}
	return s.byKey(sig, m)
}

// byKey says why a signature is not one of a module by one of the keys.
func (s *signers) byKey(sig []byte, m *module.Module) error {
	digest, err := hex.DecodeString(m.Digest)
	if err != nil {
		return fmt.Errorf("the module's digest: %w", err)
	}
	for _, key := range s.keys {
		var options []signature.VerifyOption
		if _, ok := key.(*signature.ECDSAVerifier); ok {
			options = append(options, withDigest(digest)) // the bytes were hashed before
		}
		if key.VerifySignature(bytes.NewReader(sig), bytes.NewReader(m.Bytes), options...) == nil {
			return nil
		}
	}
	return errors.New("it is a signature of other bytes, or by none of the keys that are named")
}

func withDigest(digest []byte) signature.VerifyOption { return options.WithDigest(digest) }
