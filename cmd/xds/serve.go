package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/console"
	"github.com/waxwing-xds/waxwing/internal/control"
	_ "github.com/waxwing-xds/waxwing/internal/extensions" // fleet files may use all of Envoy's API
	"github.com/waxwing-xds/waxwing/internal/sandbox"
	"github.com/waxwing-xds/waxwing/internal/store"
	"github.com/waxwing-xds/waxwing/internal/watch"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

func (a *app) serve() *cobra.Command {
	var s settings
	var config string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server: watch the fleet file and its modules, and keep the connected
proxies on the newest revision that works.

Each setting can be given as a flag, in the environment (XDS_LOG_LEVEL for
--log-level) or in xds.yaml (log-level: …); the first of these that has it wins.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if env := a.getenv(envName("config")); env != "" && !cmd.Flags().Changed("config") {
				config = env
			}
			if err := load(cmd.Flags(), config, a.getenv); err != nil {
				return err
			}
			log, err := a.logBeside(s)
			if err != nil {
				return usageError{err}
			}
			defer hangUps(log)()
			if err := s.inRange(); err != nil {
				return err
			}
			return serve(cmd.Context(), log, s)
		},
	}
	cmd.Flags().StringVar(&config, "config", defaultConfig, "settings file; the default one may be absent")
	s.flags(cmd.Flags())
	return cmd
}

// logBeside makes the server's logger. Nothing waits for who reads the log, nor for
// the error that run prints at last: from now on that goes the same way.
func (a *app) logBeside(s settings) (*slog.Logger, error) {
	w := newLogWriter(a.stderr, func(lost int) []byte {
		var line bytes.Buffer
		if log, err := logger(&line, s.LogLevel, s.LogFormat); err == nil { // it was taken before
			log.Error("lines of this log are lost: nobody read it in time", "lines", lost)
		}
		return line.Bytes()
	})
	log, err := logger(w, s.LogLevel, s.LogFormat)
	a.stderr, a.flush = w, func() { w.close(logPatience) }
	return log, err
}

// logPatience is how long the server's end waits for the last lines to be read.
const logPatience = 2 * time.Second

// hangUps keeps the server from ending with the terminal that started it, or by a
// SIGHUP that is meant to have it read its files again: it does that anyhow. A
// closed pipe on stderr does not end it either. stop gives both back.
func hangUps(log *slog.Logger) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE)
	go func() {
		for first := true; ; first = false {
			if _, ok := <-signals; !ok {
				return
			}
			if first {
				log.Info("SIGHUP: the server goes on; it takes files when they are saved, and needs no signal for it")
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		signal.Reset(syscall.SIGPIPE)
	}
}

func logger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log-level: %q is not one of debug, info, warn, error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("log-format: %q is not one of text, json", format)
}

// serve runs the server until the context ends.
func serve(ctx context.Context, log *slog.Logger, s settings) (err error) {
	dir, err := store.Open(s.State)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	grpcListener, err := listenXDS(ctx, s)
	if err != nil {
		return err
	}
	defer grpcListener.Close() //nolint:errcheck // gRPC has closed it, or nothing was served
	if err := s.Verify.readable(); err != nil {
		return err
	}
	guard, keeper, err := s.guard(ctx, log)
	if err != nil {
		return err
	}
	settle := watch.Settings{Quiet: s.Settle, Max: s.SettleMax}
	box, end := s.sandbox(log)
	defer end()
	files, err := s.source(log, settle, box)
	if err != nil {
		return err
	}
	server := xds.NewServer(log, s.clientLimits())
	admin, err := openAdmin(ctx, log, s)
	if err != nil {
		return err
	}
	defer admin.close() //nolint:errcheck // who serves it has closed it, or nothing was served
	loop, err := control.New(control.Config{
		Log: log, Source: files, XDS: server, Store: dir, Grace: s.RetireGrace, KeepRevisions: s.KeepRevisions,
		Port: func() *api.Port { return port(s, grpcListener, guard, server.Clients().Figures()) }, Forbidden: guard.Forbidden,
		Admin: admin.describe,
	})
	if err != nil {
		return err
	}
	log.Info("xds serves", "listen", grpcListener.Addr().String(), "admin", at(admin.tcp),
		"fleet", s.Fleet, "state", s.State, "socket", at(admin.socket), "metrics", at(admin.health))

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return files.Run(ctx) })
	g.Go(func() error { return loop.Run(ctx) })
	options := server.Options()
	if guard != nil {
		options = append(options, guard.Options(server.Clients().Creds)...)
		g.Go(func() error { return keeper.Run(ctx, settle) })
		g.Go(func() error { return guard.Run(ctx) })
	}
	g.Go(func() error { return serveGRPC(ctx, server, options, grpcListener) })
	admin.door.run(ctx, g, settle)
	admin.serve(ctx, log, g, console.Handler(log, loop, server.Stats), console.Health(log, loop, server.Stats))
	err = g.Wait()
	log.Info("xds has stopped")
	return err
}

// clientLimits are what clients of the xDS port may take.
func (s settings) clientLimits() xds.Limits {
	return xds.Limits{
		MaxClientStreams: s.MaxClientStreams, MaxClientRequests: s.MaxClientRequests, MaxClientBytes: s.MaxClientBytes,
		MaxKeptBytes: s.MaxKeptBytes, MaxNames: s.MaxNames,
		MaxStreams: s.MaxStreams, MaxRequestBytes: s.MaxRequestBytes, MaxUnmatched: s.MaxUnmatched,
		PushBudget: s.PushBudgetBytes, PushTimeout: s.PushTimeout,
	}
}

// source is what the server watches.
func (s settings) source(log *slog.Logger, settle watch.Settings, box build.Sandbox) (*build.Files, error) {
	watcher, err := watch.New(log, settle)
	if err != nil {
		return nil, err
	}
	watcher.Rule = s.files()
	return build.NewFiles(s.Fleet, watcher, s.maker(box)), nil
}

// sandbox is what filters are tried in, in processes of their own, until end.
func (s settings) sandbox(log *slog.Logger) (box build.Sandbox, end func()) {
	if !s.Preflight {
		return build.Inspect{}, func() {}
	}
	pool := sandbox.New(log, s.Limits, os.LookupEnv)
	return pool, pool.Close
}

func serveGRPC(ctx context.Context, server *xds.Server, options []grpc.ServerOption, l net.Listener) error {
	g := grpc.NewServer(options...)
	server.Register(g)
	// Not gracefully: a proxy's stream never ends by itself, and proxies go on
	// without a server, with what they have.
	stop := context.AfterFunc(ctx, g.Stop)
	defer stop()
	if err := g.Serve(server.Clients().Listener(l)); err != nil {
		return fmt.Errorf("the xDS server: %w", err)
	}
	return nil
}
