// Package signedtest signs modules as cosign does, by keys and by identities of a Sigstore that
// exists in a test alone.
package signedtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"

	bundlev1 "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// Kind is how a key signs.
type Kind string

// The kinds of keys that there are.
const (
	ECDSA     Kind = "ecdsa"
	Ed25519   Kind = "ed25519"
	Ed25519ph Kind = "ed25519ph"
)

// Kinds are all of them.
var Kinds = []Kind{ECDSA, Ed25519, Ed25519ph}

// A Key signs.
type Key struct {
	kind   Kind
	signer crypto.Signer
}

// NewKey makes a key.
func NewKey(kind Kind) *Key {
	var signer crypto.Signer
	var err error
	if kind == ECDSA {
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		panic(err) // there is no chance in this machine
	}
	return &Key{kind, signer}
}

// PEM is the public key.
func (k *Key) PEM() string {
	der, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	if err != nil {
		panic(err) // it is of a type that can be
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// signature signs bytes.
func (k *Key) signature(data []byte) []byte {
	var options crypto.SignerOpts = crypto.Hash(0)
	digest := data
	switch k.kind {
	case ECDSA:
		sum := sha256.Sum256(data)
		digest, options = sum[:], crypto.SHA256
	case Ed25519ph:
		sum := sha512.Sum512(data)
		digest, options = sum[:], crypto.SHA512
	case Ed25519:
	}
	sig, err := k.signer.Sign(rand.Reader, digest, options)
	if err != nil {
		panic(err) // the key is as NewKey has made it
	}
	return sig
}

// Sign is what `cosign sign-blob --output-signature` writes.
func (k *Key) Sign(data []byte) string {
	return base64.StdEncoding.EncodeToString(k.signature(data))
}

// Bundle is what `cosign sign-blob --key --bundle` writes.
func (k *Key) Bundle(data []byte) string {
	sum := sha256.Sum256(data)
	return written(&bundlev1.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: &bundlev1.VerificationMaterial{
			Content: &bundlev1.VerificationMaterial_PublicKey{PublicKey: &commonv1.PublicKeyIdentifier{Hint: "hint"}},
		},
		Content: message(sum[:], k.signature(data)),
	})
}

func message(digest, signature []byte) *bundlev1.Bundle_MessageSignature {
	return &bundlev1.Bundle_MessageSignature{MessageSignature: &commonv1.MessageSignature{
		MessageDigest: &commonv1.HashOutput{Algorithm: commonv1.HashAlgorithm_SHA2_256, Digest: digest},
		Signature:     signature,
	}}
}

func written(b *bundlev1.Bundle) string {
	text, err := protojson.Marshal(b)
	if err != nil {
		panic(err) // it is made here
	}
	return string(text)
}
