package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/preflight"
	"github.com/waxwing-xds/waxwing/internal/sandbox"
)

// checking is the flags of `xds check`.
type checking struct {
	settings
	config, pluginConfig, against, replay string
	only, junit                           string
	requests, statuses                    []string
	strict, verbose                       bool
	output                                output
	server                                func(addresses ...string) *api.Client
	note                                  io.Writer // what is no result is said here
}

// box is a sandbox that can also ask again: a *sandbox.Pool, or where this machine can't have that a *preflight.Sandbox.
type box interface {
	build.Sandbox
	Replay(ctx context.Context, p preflight.Plugin, r *preflight.Replay) ([]string, error)
}

// box makes one, in a process of its own where that can be. A person has this module on the machine anyhow.
func (c *checking) box(ctx context.Context) (b box, end func(), err error) {
	pool := sandbox.New(slog.New(slog.DiscardHandler), c.Limits, os.LookupEnv)
	err = pool.Ready(ctx)
	if err == nil {
		return pool, pool.Close, nil
	}
	pool.Close()
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	_, err = fmt.Fprintf(c.note, "xds: filters are tried in this process, which nothing holds: %v\n", err)
	return preflight.New(c.Limits, os.LookupEnv), func() {}, err
}

func (a *app) check() *cobra.Command {
	var c checking
	cmd := &cobra.Command{
		Use:   "check [fleet.yaml | folder | file.wasm]",
		Short: "Try filters in a sandbox, as the server does before a proxy gets them",
		Long: `Try filters in a sandbox, as the server does before a proxy gets them: the fleet
file is read, each filter's module is verified where it must be signed, loaded and
started with its configuration, and is asked the checks of the file. Without an argument
that is the fleet of the settings.
A module by itself is started with --plugin-config, and asked what --request says: a method,
a path and headers, whose values may have spaces ('GET / accept: text/html, */*'). A word with
a colon begins the next header; a header whose value has such words stands on a line of its own.

Each filter is asked a fixed set of hostile requests besides: bytes that are not UTF-8, no
usual header, a body in pieces, a client that leaves, and so on. What one fails is kept in a
file, hostile-FLEET-FILTER.yaml, for --replay, which asks that again, prints what is answered, and
has the exit status 1 if the filter fails it again, 0 if not.

Each check has a line, with its time, and what the checks reached of the filter: its callbacks,
and the answers that it gives by itself (local replies). --run (or -run) asks only some
checks, and nothing hostile; --junit writes what came of all for CI systems.

The exit status is 1 if anything is refused, and if --run names no check.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return noArgs(cmd, args[1:])
			}
			return nil
		},
	}
	all := pflag.NewFlagSet("", pflag.ContinueOnError) // the settings file has them all
	all.StringVar(&c.config, "config", defaultConfig, "settings file, for its fleet and its limits; the default one may be absent")
	c.flags(all)
	for _, name := range []string{"config", "preflight-start", "preflight-call", "preflight-memory", "allow-path", "max-module-bytes", "verify"} {
		cmd.Flags().AddFlag(all.Lookup(name))
	}
	c.output, c.note = a.outputFlag(cmd), a.stderr
	c.ownFlags(cmd.Flags())
	c.server = a.accessFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if env := a.getenv(envName("config")); env != "" && !cmd.Flags().Changed("config") {
			c.config = env
		}
		if err := load(all, c.config, a.getenv); err != nil {
			return err
		}
		path := c.Fleet
		if len(args) > 0 {
			path = args[0]
		}
		return c.run(cmd.Context(), path, a.stdout)
	}
	return cmd
}

// ownFlags are those that are no settings.
func (c *checking) ownFlags(f *pflag.FlagSet) {
	f.StringVar(&c.pluginConfig, "plugin-config", "", "plugin configuration for a module by itself")
	f.StringVar(&c.against, "against", "", "HOST:PORT of a running server's admin API: say which of its connected proxies would change fleets")
	f.StringArrayVar(&c.requests, "request", nil, "what to ask of a module by itself: 'GET /path name: value'; several times, each with an --expect")
	f.StringArrayVar(&c.statuses, "expect", nil, "the status that a --request is to be answered")
	f.BoolVar(&c.strict, "strict", false, "for CI: a filter without checks is wrong too, and so is a warning")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "say of each check where it is asked: in the sandbox, through a proxy's shadow listener, and through its live ones")
	f.StringVar(&c.only, "run", "", "ask only the checks whose name, or FILTER/NAME, matches this `regex`")
	f.StringVar(&c.junit, "junit", "", "`file` to write the results to, as JUnit XML")
	f.StringVar(&c.replay, "replay", "", "file of a hostile request that a filter failed: ask only that, and say what it answers")
}

func (c *checking) run(ctx context.Context, path string, out io.Writer) error {
	if err := c.output.known(); err != nil {
		return err
	}
	checks, err := requestChecks(c.requests, c.statuses)
	if err == nil && len(checks) > 0 && filepath.Ext(path) != ".wasm" {
		err = errors.New("--request is for a module by itself: a fleet file has checks")
	}
	if err != nil {
		return usageError{err}
	}
	only, err := selectionOf(c.only)
	if err != nil {
		return err
	}
	sandbox, end, err := c.box(ctx)
	if err != nil {
		return err
	}
	defer end()
	c.Fleet = path
	t := trial{maker: c.maker(sandbox), may: c.modules(), beside: c.files(), Filters: []tried{}, files: map[string]string{}, strict: c.strict, verbose: c.verbose, checks: checks, only: only}
	if c.replay != "" {
		return t.replayed(ctx, sandbox, c.replay, path, c.pluginConfig, out)
	}
	began := time.Now()
	if err := t.all(ctx, path, c.pluginConfig); err != nil {
		return err
	}
	if err := t.only.missed(); err != nil {
		t.add(err)
	}
	if c.junit != "" {
		if err := t.writeJUnit(c.junit, began); err != nil {
			return errors.Join(append(t.wrong, err)...)
		}
	}
	if c.against != "" {
		if t.Moves, err = c.server(c.against).Moves(ctx, t.claims); err != nil {
			return errors.Join(append(t.wrong, err)...)
		}
	}
	if err := c.output.print(&t, t.table); err != nil {
		return fmt.Errorf("printing what was tried: %w", err)
	}
	if c.against != "" && *c.output.word == "table" {
		if _, err := io.WriteString(out, movesText(t.Moves)); err != nil {
			return fmt.Errorf("printing what would move: %w", err)
		}
	}
	return errors.Join(t.wrong...)
}
