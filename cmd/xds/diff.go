package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/api"
)

func (a *app) diff() *cobra.Command {
	cmd := &cobra.Command{Use: "diff", Short: "Show what the revision on its way changes against what is served", Args: noArgs}
	return question(a, cmd, (*api.Client).Diff, printDiff)
}

func printDiff(w io.Writer, d api.Difference) error {
	text := fmt.Sprintf("served: %s, candidate: %s\n", revision(d.Serving), revision(d.Candidate))
	if d.Candidate.ID == "" {
		text = fmt.Sprintf("served: %s; nothing is on its way\n", revision(d.Serving))
	}
	text += movesText(d.Moves)
	for _, c := range d.Changes {
		text += fmt.Sprintf("\n%s: %s %s\n%s", c.Kind, c.Type, c.Name, c.Diff)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("printing the difference: %w", err)
	}
	return nil
}
