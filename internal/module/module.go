// Package module holds Wasm modules, named by what they are: the sha256 of their bytes.
package module

import (
	"crypto/sha256"
	"encoding/hex"
)

// A Module is the bytes of a .wasm file. They are never written to.
type Module struct {
	// Digest is the sha256 of Bytes, in lower-case hex, as OCI writes it
	// after "sha256:".
	Digest string
	Bytes  []byte
}

// New names the bytes of a module. It does not look into them: preflight does.
func New(bytes []byte) *Module {
	sum := sha256.Sum256(bytes)
	return &Module{Digest: hex.EncodeToString(sum[:]), Bytes: bytes}
}

// Short is the first part of the digest, enough to tell modules apart in a table.
func (m *Module) Short() string { return m.Digest[:12] }
