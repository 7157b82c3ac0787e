// Package signed says whether a module is signed as a rule says: by one of some keys, or by one of
// some identities of Sigstore. The signature lies beside the module; nothing is fetched.
package signed

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
)

// MaxBytes is the size of the largest signature, bundle, key file or trusted root, in bytes.
const MaxBytes = 1 << 20

// The names of what lies beside a module, as `cosign sign-blob` writes it, begin with the module's.
const (
	plainExt  = ".sig"           // --output-signature: a signature in base64
	bundleExt = ".sigstore.json" // --bundle: a Sigstore bundle
)

// Beside are the paths at which signatures of a module are looked for.
func Beside(path string) []string { return []string{path + plainExt, path + bundleExt} }

// IsSignature is whether a path is one at which a signature may be.
func IsSignature(path string) bool {
	return strings.HasSuffix(path, plainExt) || strings.HasSuffix(path, bundleExt)
}

// Files are what is known of signatures, and of the files that rules name, by path.
type Files map[string]File

// A File is the content of a file, or why there is none.
type File struct {
	Data []byte
	Err  error
}

// read gives a file's content.
func (f Files) read(path string) ([]byte, error) {
	file, known := f[path]
	switch {
	case !known:
		return nil, fmt.Errorf("%s is not read yet", path)
	case errors.Is(file.Err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist: %w", path, fs.ErrNotExist)
	case file.Err != nil:
		return nil, fmt.Errorf("%s can't be read: %w", path, file.Err)
	case len(file.Data) > MaxBytes:
		return nil, fmt.Errorf("%s has more than %d bytes", path, MaxBytes)
	}
	return file.Data, nil
}

// Verify says why a module, which lies at a path, is not signed as a rule says; nil where it is.
// What it says depends on its arguments alone, and on no clock.
func Verify(rule *fleet.Verify, path string, m *module.Module, files Files) error {
	err := refusal(rule, path, m, files)
	if err != nil {
		return fmt.Errorf("module %s (sha256 %s) is refused by verify of %s: %w", path, m.Short(), rule.Place, err)
	}
	return nil
}

func refusal(rule *fleet.Verify, path string, m *module.Module, files Files) error {
	signers, err := signersOf(rule, files)
	if err != nil {
		return err
	}
	var wrong []string
	for _, beside := range Beside(path) {
		data, err := files.read(beside)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = caught(func() error { return signers.verify(strings.HasSuffix(beside, bundleExt), data, m) })
			if err == nil {
				return nil
			}
			err = fmt.Errorf("%s: %w", beside, err)
		}
		wrong = append(wrong, err.Error())
	}
	if len(wrong) == 0 {
		return fmt.Errorf("it is not signed: %s is awaited beside it", strings.Join(Beside(path), " or "))
	}
	return fmt.Errorf("%s; if the module was saved before its signature, that is awaited", strings.Join(wrong, "; "))
}

// Readable says why a rule lets nothing pass, whatever it is signed by; nil where it may.
func Readable(rule *fleet.Verify, files Files) error {
	_, err := signersOf(rule, files)
	return err
}

// caught is what a function says, and that it panics. What reads signatures is large, and not ours;
// a file of a few bytes is not to end the server.
func caught(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("it can't be read: reading it panics")
		}
	}()
	return fn()
}

// Key names all that Verify looks at.
func Key(rule *fleet.Verify, path string, m *module.Module, files Files) string {
	h := sha256.New()
	add := func(text string) { fmt.Fprintf(h, "%d:%s", len(text), text) }
	add(m.Digest)
	add(path)
	for _, id := range rule.Identities {
		add(fmt.Sprintf("identity %q", id))
	}
	for _, key := range rule.Keys {
		add(fmt.Sprintf("key %q", key))
	}
	add(rule.TrustedRoot)
	for _, path := range append(rule.Files(), Beside(path)...) {
		data, err := files.read(path)
		add(fmt.Sprintf("%s %v", path, err))
		add(string(data))
	}
	return hex.EncodeToString(h.Sum(nil))
}
