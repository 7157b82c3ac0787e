package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// tried is what came of one configuration.
type tried struct {
	repository, file string
	skipped          string // why it is not counted
	envoy            string // why Envoy refuses it, "" where it takes it
	check            string // the same of `xds check`
	elsewhere        bool   // it names a cluster that is not in it
}

func try(ctx context.Context, envoyPath, file string, stand standIns) (tried, error) {
	r := tried{repository: filepath.Base(filepath.Dir(file)), file: filepath.Base(file)}
	data, err := os.ReadFile(file)
	if err != nil {
		return r, fmt.Errorf("reading a configuration: %w", err)
	}
	c, err := convert(data, stand)
	switch {
	case errors.Is(err, errNoBootstrap):
		r.skipped = err.Error()
	case err != nil: // not YAML to us; what is it to Envoy?
		r.check = err.Error()
		r.envoy, err = validate(ctx, envoyPath, string(data), stand)
		return r, err
	case c.asks:
		r.skipped = "asks a control plane for more: not static"
	case !c.listeners:
		r.skipped = "no listener, which a fleet file must have"
	}
	if r.skipped != "" {
		return r, nil
	}
	if r.envoy, err = validate(ctx, envoyPath, c.forEnvoy(), stand); err != nil {
		return r, err
	}
	r.check = check(r.file, c, nil)
	if names := missing.FindAllStringSubmatch(r.check, -1); names != nil && r.envoy == "" {
		r.elsewhere = true
		r.check = check(r.file, c, names)
	}
	return r, nil
}

// missing is a cluster that nothing in a fleet file defines. Where Envoy has no objection,
// the file may say that the proxies have it from their bootstrap.
var missing = regexp.MustCompile(`cluster "([^"]*)" does not exist in this fleet`)

func check(file string, c *conversion, named [][]string) string {
	var names []string
	for _, m := range named {
		names = append(names, m[1])
	}
	if _, err := fleet.Parse(file, []byte(c.forFleet(names))); err != nil {
		return err.Error()
	}
	return ""
}

var envoySays = regexp.MustCompile(`(?s)error initializing configuration '[^']*':?\s*(.*)`)

// validate returns why Envoy refuses a bootstrap.
func validate(ctx context.Context, path, text string, stand standIns) (string, error) {
	file, err := os.CreateTemp(stand.dir, "*.yaml")
	if err != nil {
		return "", fmt.Errorf("making a file for Envoy: %w", err)
	}
	defer os.Remove(file.Name()) //nolint:errcheck // in a temporary folder
	if _, err := file.WriteString(text); err != nil {
		return "", fmt.Errorf("making a file for Envoy: %w", err)
	}
	if err := file.Close(); err != nil {
		return "", fmt.Errorf("making a file for Envoy: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--mode", "validate", "--log-level", "error", "--use-dynamic-base-id", "--config-path", file.Name())
	cmd.Dir = stand.dir
	out, err := cmd.CombinedOutput()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		return "", fmt.Errorf("running Envoy: %w", err)
	}
	if err == nil {
		return "", nil
	}
	if m := envoySays.FindSubmatch(out); m != nil {
		out = m[1]
	}
	return strings.TrimSpace(strings.ReplaceAll(string(out), stand.dir, "")), nil
}
