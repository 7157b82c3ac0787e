package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// output is how a command prints what it was asked for: -o.
type output struct {
	word *string
	to   io.Writer
}

// outputFlag lets a command's user choose.
func (a *app) outputFlag(cmd *cobra.Command) output {
	return output{cmd.Flags().StringP("output", "o", "table", "table or json"), a.stdout}
}

// known is an error where there is no such output.
func (o output) known() error {
	if *o.word != "table" && *o.word != "json" {
		return usageError{fmt.Errorf("--output: %q is not one of table, json", *o.word)}
	}
	return nil
}

// print prints v as JSON, or as table does it.
func (o output) print(v any, table func(io.Writer) error) error {
	if err := o.known(); err != nil {
		return err
	}
	if *o.word == "table" {
		return table(o.to)
	}
	e := json.NewEncoder(o.to)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// question is a command that asks a server something of a fleet, and prints the answer.
func question[T any](a *app, cmd *cobra.Command, ask func(*api.Client, context.Context, string) (T, error), table func(io.Writer, T) error) *cobra.Command {
	admin := a.adminFlag(cmd)
	fleet := cmd.Flags().String("fleet", "", "which fleet; needed where there are several")
	output := a.outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := ask(admin(), cmd.Context(), *fleet)
		if err != nil {
			return err
		}
		return output.print(answer, func(w io.Writer) error { return table(w, answer) })
	}
	return cmd
}

// group is a command of commands.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q", cmd.CommandPath()+" "+args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}
