package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/api"
)

func (a *app) rolloutHistory() *cobra.Command {
	cmd := &cobra.Command{
		Use: "history", Short: "Show what happened to a fleet: who, what, when, why", Args: noArgs,
		Long: `Show what happened to a fleet: who, what, when, why. Of a long reason the table has
the beginning, and "…" where it goes on: --full has all of it, and so has -o json.`,
	}
	full := cmd.Flags().Bool("full", false, "each reason as a whole, on one line")
	return question(a, cmd, (*api.Client).History, func(w io.Writer, entries []api.Entry) error { return printHistory(w, entries, *full) })
}

func printHistory(w io.Writer, entries []api.Entry, full bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHEN\tREVISION\tWHAT\tSTAGE\tNODE\tBY\tWHY\tFROM")
	for _, e := range entries {
		why := strings.Join(strings.Fields(e.Reason), " ") // it may have several lines, and the table has one
		if !full {
			why = beginning(why)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.At.Local().Format("2006-01-02 15:04:05.000"),
			revision(e.Revision), e.Kind, orDash(e.Stage), orDash(e.Node), orDash(e.By), orDash(why), orDash(e.From.String()))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("printing the history: %w", err)
	}
	return nil
}

// longestWhy is how many characters of a reason stand in a table: with what stands before it, a line
// of a wide terminal.
const longestWhy = 72

// beginning is the first clause of a reason, or as many words of it as there is room for. That
// there is more is said by "…".
func beginning(reason string) string {
	short, _, cut := strings.Cut(reason, "; ")
	if runes := []rune(short); len(runes) > longestWhy {
		short, cut = string(runes[:longestWhy]), true
		if end := strings.LastIndexByte(short, ' '); end > 0 {
			short = short[:end]
		}
	}
	if !cut {
		return reason
	}
	return strings.TrimRight(short, " ,:;(") + " …"
}
