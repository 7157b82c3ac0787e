package chains

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"strconv"
)

//go:embed keys.wat
var source []byte

// Module assembles the filter that denies with a status. It needs wat2wasm, of wabt.
func Module(ctx context.Context, status int) ([]byte, error) {
	text := bytes.Replace(source, []byte(`"status: 403"`), []byte(`"status: `+strconv.Itoa(status)+`"`), 1)
	cmd := exec.CommandContext(ctx, "wat2wasm", "-", "--output=-")
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("assembling a filter (wat2wasm is a part of wabt): %w", err)
	}
	return out, nil
}

// Modules are what Setting's files hold.
func Modules(ctx context.Context) (out [2][]byte, err error) {
	for i := range out {
		if out[i], err = Module(ctx, Filter{Module: i}.Denies()); err != nil {
			return out, err
		}
	}
	return out, nil
}
