package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxwing-xds/waxwing/internal/rig"
	"github.com/waxwing-xds/waxwing/internal/sandbox"
	"github.com/waxwing-xds/waxwing/internal/signed/signedtest"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == sandbox.Argument { // started by a test that runs a command in this process
		main()
	}
	testscript.Main(m, map[string]func(){"xds": main})
}

// The scripts of testdata run the real main. Each has addresses of its own in
// the environment, which the commands read.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Values[keys] = map[string]*signedtest.Key{}
			for _, name := range []string{"XDS_LISTEN", "XDS_ADMIN", "TCP"} {
				address, err := rig.FreeAddress()
				if err != nil {
					return err
				}
				env.Setenv(name, address)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"eventually": eventually, "sign": sign},
	})
}

// keys is where a script has its keys, by name.
const keys = "keys"

// sign signs a file as cosign does: `sign KEY FILE` writes FILE.sig, `sign -bundle KEY FILE` writes
// FILE.sigstore.json, and `sign KEY` the public key, KEY.pub.
func sign(ts *testscript.TestScript, neg bool, args []string) {
	bundle := len(args) > 0 && args[0] == "-bundle"
	if bundle {
		args = args[1:]
	}
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: sign [-bundle] KEY [FILE]")
	}
	made := ts.Value(keys).(map[string]*signedtest.Key)
	key := made[args[0]]
	if key == nil {
		key = signedtest.NewKey(signedtest.ECDSA)
		made[args[0]] = key
	}
	name, text := args[0]+".pub", key.PEM()
	switch {
	case len(args) == 2 && bundle:
		name, text = args[1]+".sigstore.json", key.Bundle([]byte(ts.ReadFile(args[1])))
	case len(args) == 2:
		name, text = args[1]+".sig", key.Sign([]byte(ts.ReadFile(args[1])))
	}
	ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
}

// eventually runs a command until it succeeds and its output matches:
// `eventually PATTERN xds status`.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN COMMAND")
	}
	pattern := regexp.MustCompile(args[0])
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := ts.Exec(args[1], args[2:]...)
		out := ts.ReadFile("stdout")
		if err == nil && pattern.MatchString(out) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: %v, and no %q in %q", strings.Join(args[1:], " "), err, args[0], out)
		}
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // between two asks, not instead of one
	}
}

// Each file of envoy-bootstrap/ is what the command in its first line prints.
func TestBootstrapFiles(t *testing.T) {
	files, err := filepath.Glob(root + "envoy-bootstrap/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		words := strings.Fields(strings.TrimPrefix(first, "# Printed by: "))
		if len(words) < 2 || words[0] != "xds" {
			t.Errorf("%s does not begin with the command that prints it: %q", file, first)
			continue
		}
		var out, errs strings.Builder
		code := run(words[1:], func(string) string { return "" }, &out, &errs)
		if code != exitOK || out.String() != string(text) {
			t.Errorf("%s is not what its first line prints (%s); write it anew: %s > %s", file, errs.String(), strings.Join(words, " "), file)
		}
	}
}
