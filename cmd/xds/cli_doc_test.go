package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var rewrite = flag.Bool("rewrite", false, "write docs/cli.md anew")

// docs/cli.md is what the commands say of themselves: `go test ./cmd/xds -rewrite`
// writes it.
func TestCommandsAreDocumented(t *testing.T) {
	var want strings.Builder
	want.WriteString("# The commands of xds\n\nWritten by `go test ./cmd/xds -rewrite`, of what `xds help COMMAND` says.\n")
	document(t, &want, (&app{getenv: func(string) string { return "" }}).root())
	const file = root + "docs/cli.md"
	if *rewrite {
		if err := os.WriteFile(file, []byte(want.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Errorf("docs/cli.md is not what the commands say: go test ./cmd/xds -rewrite")
	}
}

// document writes a command and those below it.
func document(t *testing.T, w *strings.Builder, cmd *cobra.Command) {
	if cmd.HasParent() {
		text := cmd.Long
		if text == "" {
			text = cmd.Short + "."
		}
		fmt.Fprintf(w, "\n## %s\n\n%s\n\n    %s\n", cmd.CommandPath(), strings.TrimSpace(text), cmd.UseLine())
		cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if name, _ := pflag.UnquoteUsage(f); strings.Contains(name, " ") {
				t.Errorf("%s: what --%s takes is shown as %q, the part of its text in backquotes", cmd.CommandPath(), f.Name, name)
			}
		})
		if flags := strings.TrimRight(cmd.NonInheritedFlags().FlagUsages(), "\n"); flags != "" {
			fmt.Fprintf(w, "\n```\n%s\n```\n", flags)
		}
	}
	for _, below := range cmd.Commands() {
		if below.IsAvailableCommand() {
			document(t, w, below)
		}
	}
}
