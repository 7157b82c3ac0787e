package signed

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"

	bundlev1 "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// bundle says why a Sigstore bundle is not one for a module by one of the signers.
func (s *signers) bundle(data []byte, m *module.Module) error {
	text := &bundlev1.Bundle{}
	if protojson.Unmarshal(data, text) != nil {
		return errors.New("it is not a Sigstore bundle") // what it is else may be a secret
	}
	b, err := bundle.NewBundle(text)
	if err != nil {
		return fmt.Errorf("it is not a Sigstore bundle: %w", err)
	}
	content, err := b.SignatureContent()
	if err != nil {
		return fmt.Errorf("its signature: %w", err)
	}
	sig := content.MessageSignatureContent()
	if sig == nil {
		return errors.New("it is an attestation, which says something about the module: a signature of it is wanted (cosign sign-blob)")
	}
	if sig.DigestAlgorithm() == "SHA2_256" && hex.EncodeToString(sig.Digest()) != m.Digest {
		return fmt.Errorf("it is of other bytes (sha256 %.6x)", sig.Digest())
	}
	material, err := b.VerificationContent()
	switch {
	case err != nil:
		return fmt.Errorf("who has signed it: %w", err)
	case material.Certificate() != nil && s.identity == nil:
		return errors.New("it is signed by an identity, and the rule names keys alone")
	case material.Certificate() != nil:
		return s.identity.verify(b, m)
	case len(s.keys) == 0:
		return errors.New("it is signed by a key, and the rule names identities alone")
	}
	return s.byKey(sig.Signature(), m) // the bundle's hint of the key may be anything
}

// identities are who certificates may be of, and who vouches for that.
type identities struct {
	verifier *verify.Verifier
	policies []verify.PolicyOption
}

// identitiesOf reads a trusted root. All kinds of evidence that it names somebody for are wanted: so
// it is the rule that says what a bundle must have, and not the bundle.
func identitiesOf(rules []fleet.Identity, data []byte) (*identities, error) {
	text, err := root.NewTrustedRootProtobuf(data)
	if err != nil {
		return nil, errors.New("it is not a trusted root") // what it is else may be a secret
	}
	trusted, err := root.NewTrustedRootFromProtobuf(text)
	if err != nil {
		return nil, fmt.Errorf("it can't be used: %w", err)
	}
	logs := len(trusted.RekorLogs()) > 0
	switch {
	case len(trusted.FulcioCertificateAuthorities()) == 0:
		return nil, errors.New("it names no certificate authority")
	case !logs && len(trusted.TimestampingAuthorities()) == 0:
		return nil, errors.New("it names neither a log nor a timestamp authority, and so nobody says when a module was signed")
	}
	wanted := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	if logs {
		wanted = append(wanted, verify.WithTransparencyLog(1))
	}
	if len(trusted.CTLogs()) > 0 {
		wanted = append(wanted, verify.WithSignedCertificateTimestamps(1))
	}
	out := &identities{}
	if out.verifier, err = verify.NewVerifier(trusted, wanted...); err != nil {
		return nil, fmt.Errorf("it can't be used: %w", err)
	}
	for _, rule := range rules {
		id, err := identityOf(rule)
		if err != nil {
			return nil, err
		}
		out.policies = append(out.policies, verify.WithCertificateIdentity(id))
	}
	return out, nil
}

func identityOf(rule fleet.Identity) (verify.CertificateIdentity, error) {
	whole := func(expression string) string {
		if expression == "" {
			return ""
		}
		return fleet.Whole(expression)
	}
	id, err := verify.NewShortCertificateIdentity(rule.Issuer, whole(rule.IssuerRegexp), rule.Subject, whole(rule.SubjectRegexp))
	if err != nil {
		return id, fmt.Errorf("an identity: %w", err)
	}
	return id, nil
}

// verify says why a bundle is not one for a module by one of the identities.
func (i *identities) verify(b *bundle.Bundle, m *module.Module) error {
	_, err := i.verifier.Verify(b, verify.NewPolicy(verify.WithArtifact(bytes.NewReader(m.Bytes)), i.policies...))
	if err != nil {
		return errors.New(oneLine.ReplaceAllString(err.Error(), " "))
	}
	return nil
}

var oneLine = regexp.MustCompile(`\s*\n\s*`)
