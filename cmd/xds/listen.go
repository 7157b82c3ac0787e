package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/identity"
)

// listenXDS opens the xDS port: HOST:PORT, or unix:PATH. Where it would serve plain text to
// other machines it is closed again, unless that was asked for.
func listenXDS(ctx context.Context, s settings) (net.Listener, error) {
	l, err := listenAt(ctx, s.Listen)
	if err != nil {
		return nil, fmt.Errorf("the xDS server: %w", err)
	}
	if s.InsecurePlaintext || s.secure() {
		return l, nil
	}
	if err := identity.CheckPlaintext(l.Addr()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func listenAt(ctx context.Context, address string) (net.Listener, error) {
	path, unix := strings.CutPrefix(address, "unix:")
	if !unix {
		return new(net.ListenConfig).Listen(ctx, "tcp", address)
	}
	// The socket of a server that was killed is in the way of the next one. The state
	// directory's lock says that there is no other server of this state; one of another
	// state that listens here is not pushed aside.
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 && !answered(ctx, path) {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("the socket of a server before: %w", err)
		}
	}
	return new(net.ListenConfig).Listen(ctx, "unix", path)
}

// answered is whether somebody listens at a Unix socket.
func answered(ctx context.Context, path string) bool {
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// guard makes what guards the xDS port by certificates, nil for plain text.
func (s settings) guard(ctx context.Context, log *slog.Logger) (*identity.Guard, *identity.Keeper, error) {
	if !s.secure() {
		if s.Identity.String() != new(identity.Rules).String() {
			return nil, nil, errors.New("identity: rules are about certificates: give --tls-cert, --tls-key and --client-ca too")
		}
		return nil, nil, nil
	}
	version, err := s.tlsVersion()
	switch {
	case err != nil:
		return nil, nil, err
	case s.InsecurePlaintext:
		return nil, nil, errors.New("insecure-plaintext: there is TLS: leave one of them out")
	case s.SPIFFESocket != "" && s.TLS != (identity.Files{}):
		return nil, nil, errors.New("spiffe-socket: there are --tls-cert, --tls-key or --client-ca: leave one or the other out")
	case s.SPIFFESocket == "" && (s.TLS.Cert == "" || s.TLS.Key == "" || s.TLS.ClientCA == ""):
		return nil, nil, errors.New("TLS of the xDS port needs all of --tls-cert, --tls-key and --client-ca: without the last it would serve anyone")
	}
	keeper, err := s.keeper(ctx, log, version)
	if err != nil {
		return nil, nil, err
	}
	return identity.New(log, keeper, s.Identity), keeper, nil
}

// secure is whether there is to be TLS.
func (s settings) secure() bool { return s.TLS != (identity.Files{}) || s.SPIFFESocket != "" }

func (s settings) keeper(ctx context.Context, log *slog.Logger, version uint16) (*identity.Keeper, error) {
	if s.SPIFFESocket != "" {
		return identity.NewSPIFFE(ctx, log, s.SPIFFESocket, version, time.Now)
	}
	return identity.NewKeeper(log, s.TLS, version, time.Now)
}

func (s settings) tlsVersion() (uint16, error) {
	switch s.TLSMinVersion {
	case "1.3":
		return tls.VersionTLS13, nil
	case "1.2":
		return tls.VersionTLS12, nil
	}
	return 0, fmt.Errorf("tls-min-version: %q is neither 1.3 nor 1.2", s.TLSMinVersion)
}

// port is what the status says of the xDS port.
func port(s settings, l net.Listener, guard *identity.Guard) *api.Port {
	p := &api.Port{Address: l.Addr().String(), Security: api.SecurityLocal}
	switch {
	case guard != nil:
		guard.Port(p)
	case s.InsecurePlaintext:
		p.Security = api.SecurityInsecure
	}
	return p
}
