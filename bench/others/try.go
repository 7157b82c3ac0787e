package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// tried is what came of one module.
type tried struct {
	toolchain, project, name, abi string
	hereRefused                   string
	here                          []preflight.Passed
	there                         there
	apart                         []string // where the two part
}

func try(ctx context.Context, path, file string) (tried, error) {
	project := filepath.Dir(file)
	t := tried{
		toolchain: filepath.Base(filepath.Dir(project)), project: filepath.Base(project),
		name: strings.TrimSuffix(filepath.Base(file), ".wasm"),
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return t, err
	}
	code, err := os.ReadFile(file)
	if err != nil {
		return t, err
	}
	t.abi = string(abi.Find(code))
	config, err := configOf(strings.TrimSuffix(file, ".wasm") + ".json")
	if err != nil {
		return t, err
	}
	if t.there, err = inEnvoy(ctx, path, file, config); err != nil {
		return t, err
	}
	if err := t.inSandbox(ctx, code, config); err != nil {
		return t, err
	}
	t.compare()
	return t, nil
}

var abi = regexp.MustCompile(`0_[12]_\d|0_3_0`)

func configOf(file string) (*wasmv3.PluginConfig, error) {
	c := &wasmv3.PluginConfig{}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = protojson.Unmarshal(text, c)
	}
	if err != nil {
		return nil, fmt.Errorf("its configuration: %w", err)
	}
	return c, nil
}

func (t *tried) inSandbox(ctx context.Context, code []byte, config *wasmv3.PluginConfig) error {
	slow := fleet.Preflight{Start: time.Minute, Call: 10 * time.Second, Memory: 1 << 30}
	sandbox := preflight.New(preflight.Limits{}, os.LookupEnv)
	p := preflight.Plugin{Name: "tested", Config: config, Module: module.New(code), Limits: slow}
	passed, err := sandbox.Pass(ctx, p, requests())
	refused := (*preflight.Error)(nil)
	if errors.As(err, &refused) {
		t.hereRefused, err = refused.Error(), nil
	}
	t.here = passed
	return err
}

// compare finds where the two part.
func (t *tried) compare() {
	switch {
	case (t.hereRefused == "") != (t.there.refused == ""):
		t.apart = append(t.apart, fmt.Sprintf("the sandbox refuses it: %q; Envoy: %q", t.hereRefused, t.there.refused))
		return
	case t.hereRefused != "":
		return
	}
	all := requests()
	for i := range max(len(t.here), len(t.there.passed)) {
		what := fmt.Sprintf("%s %s: ", all[i].Method, all[i].Path)
		if i >= len(t.here) || i >= len(t.there.passed) {
			t.apart = append(t.apart, what+"only one of the two comes so far")
			return
		}
		for _, d := range differences(t.here[i], t.there.passed[i]) {
			t.apart = append(t.apart, what+d)
		}
	}
}

func differences(here, there preflight.Passed) []string {
	if a, b := endOf(here), endOf(there); a != b {
		return []string{fmt.Sprintf("here %s (%s); in Envoy %s (%s)", a, why(here), b, why(there))}
	}
	if here.Failed != nil || here.Closed {
		return nil
	}
	out := wholes("the client's", here.Answer, there.Answer)
	switch {
	case (here.Service == nil) != (there.Service == nil):
		out = append(out, fmt.Sprintf("the service is asked: here %t, in Envoy %t", here.Service != nil, there.Service != nil))
	case here.Service != nil:
		out = append(out, wholes("the service's", *here.Service, *there.Service)...)
	}
	return out
}

// endOf is how a request ends. A pause is no answer in Envoy.
func endOf(p preflight.Passed) string {
	switch {
	case p.Failed != nil && (p.Failed.Reason == "no answer" || strings.HasPrefix(p.Failed.Reason, "it pauses")):
		return "a pause"
	case p.Failed != nil:
		return "a crash"
	case p.Closed:
		return "a closed connection"
	}
	return "an answer"
}

func why(p preflight.Passed) string {
	if p.Failed != nil {
		return p.Failed.Reason
	}
	return valueOf(p.Answer, ":status")
}

func valueOf(w preflight.Whole, name string) string {
	for _, h := range w.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

func wholes(whose string, here, there preflight.Whole) []string {
	var out []string
	if string(here.Body) != string(there.Body) {
		out = append(out, fmt.Sprintf("%s body: here %q, in Envoy %q", whose, short(here.Body), short(there.Body)))
	}
	a, b := lines(here), lines(there)
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, fmt.Sprintf("%s headers: only here %s", whose, short([]byte(l))))
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			out = append(out, fmt.Sprintf("%s headers: only in Envoy %s", whose, short([]byte(l))))
		}
	}
	return out
}

func short(b []byte) []byte { return b[:min(len(b), 160)] }

// hops are headers that are about one connection, or that each proxy makes up.
var hops = regexp.MustCompile(`^(:scheme|date|server|connection|transfer-encoding|content-length|te|x-request-id|x-forwarded-(proto|for)|x-envoy-.*)$`)

// lines are the headers that count, sorted; several of a name are several.
func lines(w preflight.Whole) []string {
	var out []string
	for _, h := range w.Headers {
		if !hops.MatchString(h.Name) {
			out = append(out, h.Name+": "+strings.TrimSpace(h.Value))
		}
	}
	slices.Sort(out)
	return out
}
