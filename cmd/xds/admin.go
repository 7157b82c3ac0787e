package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/waxwing-xds/waxwing/internal/access"
)

// adminSocket is the address of the admin API's Unix socket, "" for none.
func (s settings) adminSocket() string {
	switch {
	case strings.HasPrefix(s.Admin, socketPrefix):
		return s.Admin
	case s.AdminSocket == none:
		return ""
	case s.AdminSocket != "":
		return socketPrefix + s.AdminSocket
	}
	return socketPrefix + filepath.Join(s.State, "admin.sock")
}

// adminTCP is its address for browsers, "" for none.
func (s settings) adminTCP() string {
	if s.Admin == none || strings.HasPrefix(s.Admin, socketPrefix) {
		return ""
	}
	return s.Admin
}

// adminAPI is where the admin API is served; nil for nowhere.
type adminAPI struct {
	socket, tcp net.Listener
	health      net.Listener // of what anyone may ask
	door        door
}

// openAdmin opens the admin API, and reads what it knows people by.
func openAdmin(ctx context.Context, log *slog.Logger, s settings) (adminAPI, error) {
	a, err := listenAdmin(ctx, log, s)
	if err != nil {
		return a, err
	}
	if a.door, err = newDoor(log, s, a); err != nil {
		return a, errors.Join(err, a.close())
	}
	return a, nil
}

// listenAdmin opens the admin API. The state directory is this server's own by now.
func listenAdmin(ctx context.Context, log *slog.Logger, s settings) (a adminAPI, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("the admin API: %w", err), a.close())
		}
	}()
	if a.socket, err = listenSocket(ctx, log, s); err != nil {
		return a, err
	}
	if address := s.adminTCP(); address != "" {
		if a.tcp, err = listenAt(ctx, address, byOwner); err != nil {
			return a, err
		}
	}
	if a.socket == nil && a.tcp == nil {
		return a, errors.New("--admin and --admin-socket are both none: nobody could ask the server anything")
	}
	if s.Metrics != none && s.Metrics != "" {
		if a.health, err = listenAt(ctx, s.Metrics, byUmask); err != nil {
			return a, fmt.Errorf("--metrics: %w", err)
		}
	}
	return a, nil
}

// listenSocket opens its Unix socket. Some folders take none, and a server that ran there
// before still does; one that was asked for is wanted.
func listenSocket(ctx context.Context, log *slog.Logger, s settings) (net.Listener, error) {
	address := s.adminSocket()
	if address == "" {
		return nil, nil
	}
	l, err := listenAt(ctx, address, byOwner)
	if err != nil && s.AdminSocket == "" && s.adminTCP() != "" {
		log.Warn("the admin API has no Unix socket, and is asked by TCP alone: --admin-socket has it elsewhere", "error", err)
		return nil, nil
	}
	return l, err
}

func (a adminAPI) close() (err error) {
	for _, l := range []net.Listener{a.socket, a.tcp, a.health} {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	return err
}

// serve serves it until the context ends.
func (a adminAPI) serve(ctx context.Context, log *slog.Logger, g *errgroup.Group, all, health http.Handler) {
	for _, place := range []struct {
		at     net.Listener
		secure *tls.Config
		answer http.Handler
	}{{a.socket, nil, a.door.guard.Socket(all)}, {a.tcp, a.door.secure(), a.door.guard.TCP(all)}, {a.health, nil, health}} {
		if place.at != nil {
			g.Go(func() error {
				return access.Serve(ctx, log, place.at, place.secure, place.answer, access.DefaultBounds)
			})
		}
	}
}
