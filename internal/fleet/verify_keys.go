package fleet

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// PublicKeys reads the public keys of a PEM text, all of which are ECDSA P-256 or Ed25519. What
// else the text holds is wrong, and is not repeated: it may be a secret.
func PublicKeys(text []byte) (keys []crypto.PublicKey, err error) {
	block, rest := pem.Decode(text)
	for ; block != nil; block, rest = pem.Decode(rest) {
		switch {
		case strings.Contains(block.Type, "PRIVATE"):
			return nil, errors.New("it holds a private key: the public one is wanted, and the private one does not belong here")
		case block.Type != "PUBLIC KEY":
			return nil, errors.New("it holds PEM of something other than a PUBLIC KEY")
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, errors.New("it holds a PUBLIC KEY that can't be read")
		}
		if !known(key) {
			return nil, fmt.Errorf("it holds a key that is neither ECDSA P-256 nor Ed25519 (%T)", key)
		}
		if keys = append(keys, key); len(keys) > maxSigners {
			return nil, fmt.Errorf("it holds more than %d keys", maxSigners)
		}
	}
	if bytes.Contains(rest, []byte("-----BEGIN")) {
		return nil, errors.New("it holds PEM that can't be read")
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no public key in PEM")
	}
	return keys, nil
}

func known(key crypto.PublicKey) bool {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return true
	case *ecdsa.PublicKey:
		return key.Curve == elliptic.P256()
	}
	return false
}
