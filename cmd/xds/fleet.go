package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/api"
)

func (a *app) fleet() *cobra.Command {
	return group("fleet", "See the fleets of a running server, and take one away",
		a.fleetList(),
		a.fleetVerb(api.VerbRetire, "Have a fleet take no more proxies", `Have a fleet take no more proxies. What is on its way is given up. Its proxies keep what they
run, until another fleet's match claims them; then they move there, with proof. A fleet whose
file is gone is retired by itself, after a grace (--retire-grace of xds serve). It is taken up
again when its file is saved with another content, and that is served.`),
		a.fleetVerb(api.VerbForget, "Delete all that there is of a retired fleet", `Delete all that there is of a retired fleet: its state, its revisions, its history. It is
refused while connected proxies run what it serves.`))
}

func (a *app) fleetList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the fleets", Args: noArgs}
	admin := a.adminFlag(cmd)
	output := a.outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := output.known(); err != nil {
			return err
		}
		status, err := admin().Fleets(cmd.Context())
		if err != nil {
			return err
		}
		return output.print(status.Fleets, func(w io.Writer) error { return printFleets(w, status.Fleets) })
	}
	return cmd
}

func printFleets(w io.Writer, fleets []api.Fleet) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FLEET\tSTATE\tSERVING\tPROXIES\tFILE")
	for _, f := range fleets {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", f.Fleet, fleetState(f), revision(f.Serving), f.Proxies, fileOf(f))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("printing the fleets: %w", err)
	}
	return nil
}

// fileOf is the file that a fleet has, or had.
func fileOf(f api.Fleet) string {
	if f.File == "" || f.Disk.File != "" || f.Disk.State == api.DiskReading {
		return orDash(f.File)
	}
	return f.File + " (gone)"
}

// fleetState sums a fleet up.
func fleetState(f api.Fleet) string {
	switch {
	case f.Retired != nil:
		return "retired"
	case f.Rollout != nil:
		return "rolling out"
	case f.Serving.ID != "":
		return "serving"
	}
	return "nothing to serve"
}

func (a *app) fleetVerb(verb api.Verb, short, long string) *cobra.Command {
	cmd := &cobra.Command{
		Use: string(verb) + " NAME", Short: short, Long: long,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s takes the name of one fleet", cmd.CommandPath())}
			}
			return nil
		},
	}
	admin := a.adminFlag(cmd)
	why := cmd.Flags().String("why", "", "a reason, for the history")
	by := cmd.Flags().String("by", "", "who does it, for the history; default: the user")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *by == "" {
			*by = userName()
		}
		command := api.Command{Fleet: args[0], Verb: verb, By: *by, Why: *why}
		return admin().Do(cmd.Context(), command)
	}
	return cmd
}
