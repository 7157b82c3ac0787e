package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // the command line itself is wrong

	// Of --wait; see waitHelp.
	exitRejected = 3
	exitTimeout  = 4
	exitPerson   = 5
	exitNoServer = 6
	exitNobody   = 7
	exitReplaced = 8

	exitNotAllowed = 9 // the server does not let who asks
)

// exitError is an error with an exit status of its own.
type exitError struct {
	status int
	error
}

func (e exitError) Unwrap() error { return e.error }

// usageError is a mistake on the command line.
type usageError struct{ error }

// app is what the commands share.
type app struct {
	getenv         func(string) string
	stdout, stderr io.Writer
	flush          func() // has stderr written, where that is beside
}

// run is the program: it runs a command, until that ends or is interrupted, and
// prints its error, once.
func run(args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{getenv: getenv, stdout: stdout, stderr: stderr, flush: func() {}}
	root := a.root()
	root.SetArgs(goSpelling(args))
	err := root.ExecuteContext(ctx)
	defer func() { a.flush() }()
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(a.stderr, "xds:", err)
	status := statusOf(err)
	if status == exitUsage {
		fmt.Fprintln(a.stderr, "Try `xds help`.")
	}
	return status
}

// statusOf is the exit status of an error.
func statusOf(err error) int {
	switch usage, exit := (usageError{}), (exitError{}); {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &exit):
		return exit.status
	case errors.Is(err, api.ErrNoServer):
		return exitNoServer
	case errors.Is(err, api.ErrNotAllowed):
		return exitNotAllowed
	}
	return exitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "xds",
		Short: "ships Wasm filters to fleets of Envoy proxies",
		Long: `xds is an xDS control plane. It watches a fleet file and the Wasm modules that it
names, and keeps every connected Envoy on the newest revision that works.`,
		SilenceErrors: true, // printed by run
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(a.serve(), a.check(), a.status(), a.rollout(), a.fleet(), a.diff(), a.bootstrap(), a.certs(), a.token(), a.newFilter(), a.version())
	return root
}

// noArgs refuses words after a command's flags.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no %q", cmd.CommandPath(), args[0])}
	}
	return nil
}
