package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/preflight"
)

func (a *app) check() *cobra.Command {
	var s settings
	var config, pluginConfig, against string
	cmd := &cobra.Command{
		Use:   "check [fleet.yaml | folder | file.wasm]",
		Short: "Try filters in a sandbox, as the server does before a proxy gets them",
		Long: `Try filters in a sandbox, as the server does before a proxy gets them: the fleet
file is read, each filter's module is loaded and started with its configuration, and
is asked the checks of the file. Without an argument that is the fleet of the settings.
A module by itself is started with --plugin-config.

The exit status is 1 if anything is refused.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return noArgs(cmd, args[1:])
			}
			return nil
		},
	}
	all := pflag.NewFlagSet("", pflag.ContinueOnError) // the settings file has them all
	all.StringVar(&config, "config", defaultConfig, "settings file, for its fleet and its limits; the default one may be absent")
	s.flags(all)
	for _, name := range []string{"config", "preflight-start", "preflight-call", "preflight-memory"} {
		cmd.Flags().AddFlag(all.Lookup(name))
	}
	output := a.outputFlag(cmd)
	cmd.Flags().StringVar(&pluginConfig, "plugin-config", "", "plugin configuration for a module by itself")
	cmd.Flags().StringVar(&against, "against", "", "HOST:PORT of a running server's admin API: say which of its connected proxies would change fleets")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := output.known(); err != nil {
			return err
		}
		if env := a.getenv(envName("config")); env != "" && !cmd.Flags().Changed("config") {
			config = env
		}
		if err := load(all, config, a.getenv); err != nil {
			return err
		}
		path := s.Fleet
		if len(args) > 0 {
			path = args[0]
		}
		t := trial{maker: build.NewMaker(preflight.New(s.Limits, os.LookupEnv)), Filters: []tried{}, files: map[string]string{}}
		if err := t.all(cmd.Context(), path, pluginConfig); err != nil {
			return err
		}
		if against != "" {
			var err error
			if t.Moves, err = api.New(against).Moves(cmd.Context(), t.claims); err != nil {
				return errors.Join(append(t.wrong, err)...)
			}
		}
		if err := output.print(&t, t.table); err != nil {
			return fmt.Errorf("printing what was tried: %w", err)
		}
		if against != "" && *output.word == "table" {
			if _, err := io.WriteString(a.stdout, movesText(t.Moves)); err != nil {
				return fmt.Errorf("printing what would move: %w", err)
			}
		}
		return errors.Join(t.wrong...)
	}
	return cmd
}
