package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/waxwing-xds/waxwing/internal/golden"
)

// docs/cli.md is what the commands say of themselves: `go test ./cmd/xds -rewrite`
// writes it.
func TestCommandsAreDocumented(t *testing.T) {
	var said strings.Builder
	said.WriteString("# The commands of xds\n\nWritten by `go test ./cmd/xds -rewrite`, of what `xds help COMMAND` says.\n")
	document(t, &said, (&app{getenv: func(string) string { return "" }}).root())
	golden.Compare(t, root+"docs/cli.md", said.String())
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
