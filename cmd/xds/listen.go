package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/identity"
	"github.com/waxwing-xds/waxwing/internal/quota"
)

// listenXDS opens the xDS port: HOST:PORT, or unix:PATH. Where it would serve plain text to
// other machines it is closed again, unless that was asked for.
func listenXDS(ctx context.Context, s settings) (net.Listener, error) {
	l, err := listenAt(ctx, s.Listen, byUmask)
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
func port(s settings, l net.Listener, guard *identity.Guard, clients quota.Figures) *api.Port {
	p := &api.Port{Address: l.Addr().String(), Security: api.SecurityLocal}
	switch {
	case guard != nil:
		guard.Port(p)
	case s.InsecurePlaintext:
		p.Security = api.SecurityInsecure
	}
	for reason, n := range clients.Refused {
		if n > 0 && p.Bounded == nil {
			p.Bounded = map[string]int64{}
		}
		if n > 0 {
			p.Bounded[reason] = n
		}
	}
	p.LastBounded, p.LastBoundedAt = clients.Last, clients.LastAt
	return p
}
