package rig

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	_ "embed"
)

// GateText is the text of a filter of half a kilobyte: a token of five characters that
// begins with 3 passes (32323), any other is answered 403 (323232).
//
//go:embed gate.wat
var GateText string

// Gate is that filter, marked as a build: each of its answers says x-build: BUILD.
func Gate(build int) ([]byte, error) {
	text := strings.Replace(GateText, "build:00000000", fmt.Sprintf("build:%08d", build), 1)
	if build != 0 && text == GateText {
		return nil, errors.New("gate.wat has no place for the build's number")
	}
	return Assemble(text)
}

// Assemble makes a module of WebAssembly text. It takes wat2wasm, of wabt.
func Assemble(text string) ([]byte, error) {
	cmd := exec.Command("wat2wasm", "-", "--output=-") //nolint:noctx // it takes milliseconds
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("assembling a filter takes wat2wasm, a part of wabt (Debian, Homebrew: wabt): %w", err)
	}
	return out, nil
}

// WithSection is a module with a custom section that names something and has bytes, so
// that it is another module that does the same.
// https://webassembly.github.io/spec/core/binary/modules.html#custom-section
func WithSection(module []byte, name string, data []byte) []byte {
	content := append(binary.AppendUvarint(nil, uint64(len(name))), name...)
	out := append(bytes.Clone(module), 0) // the id of custom sections
	out = binary.AppendUvarint(out, uint64(len(content)+len(data)))
	return append(append(out, content...), data...)
}
