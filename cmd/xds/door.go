package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/waxwing-xds/waxwing/internal/access"
	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/identity"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// door is how the admin API knows who comes by TCP.
type door struct {
	guard  *access.Guard
	keeper *identity.Keeper // nil: plain text
	tokens *access.Tokens   // nil: none
}

// checkDoor is what is wrong with the settings of who may ask, at an address; nil for none.
func (s settings) checkDoor(tcp net.Listener) error {
	encrypted, known := s.AdminTLS.Cert != "", s.AdminTLS.ClientCA != "" || s.AdminTokens != ""
	switch {
	case encrypted != (s.AdminTLS.Key != ""):
		return errors.New("--admin-tls-cert and --admin-tls-key go together")
	case s.AdminTLS.ClientCA != "" && !encrypted:
		return errors.New("--admin-client-ca needs --admin-tls-cert and --admin-tls-key: certificates are shown in TLS")
	case s.AdminTLS.ClientCA == "" && s.AdminRoles.String() != new(identity.Roles).String():
		return errors.New("admin-roles: they are those of certificates: give --admin-client-ca too")
	case tcp == nil && (encrypted || known):
		return errors.New("--admin is none, and --admin-tls-cert, --admin-client-ca and --admin-tokens are for who comes by TCP: leave them out")
	case tcp == nil || identity.Local(tcp.Addr()) || encrypted && known:
		return nil
	}
	return fmt.Errorf("%s is reached from other machines, from which anyone could steer every rollout: "+
		"give --admin-tls-cert and --admin-tls-key, and --admin-client-ca or --admin-tokens", tcp.Addr())
}

// newDoor reads what the settings name.
func newDoor(log *slog.Logger, s settings, a adminAPI) (d door, err error) {
	if err := s.checkDoor(a.tcp); err != nil {
		return d, fmt.Errorf("the admin API: %w", err)
	}
	d.guard = &access.Guard{Log: log, Names: s.AdminHosts}
	if s.AdminTokens != "" {
		if d.tokens, err = access.ReadTokens(log, s.AdminTokens, time.Now); err != nil {
			return d, err
		}
		d.guard.Tokens = d.tokens
	}
	if s.AdminTLS.Cert == "" {
		return d, nil
	}
	if d.keeper, err = identity.NewAdminKeeper(log, s.AdminTLS, s.AdminTokens != "", time.Now); err != nil {
		return d, err
	}
	d.guard.Leaf = d.keeper.Leaf
	if s.AdminTLS.ClientCA != "" {
		d.guard.Verify = d.keeper.Verify
		d.guard.Roles = func(c *x509.Certificate) (string, api.Role) { return s.AdminRoles.Of(c) }
	}
	return d, nil
}

func (d door) secure() *tls.Config {
	if d.keeper == nil {
		return nil
	}
	return d.keeper.TLS()
}

// run takes anew what changes on disk, until the context ends.
func (d door) run(ctx context.Context, g *errgroup.Group, settle watch.Settings) {
	if d.keeper != nil {
		g.Go(func() error { return d.keeper.RunAlone(ctx, settle) })
	}
	if d.tokens != nil {
		g.Go(func() error { return d.tokens.Run(ctx, settle) })
	}
}

// describe is what the status says of it.
func (a adminAPI) describe() *api.Admin {
	d := a.door
	out := &api.Admin{TLS: d.keeper != nil, Refused: d.guard.Refused()}
	if a.socket != nil {
		out.Socket = a.socket.Addr().String()
	}
	if a.tcp != nil {
		out.Address = a.tcp.Addr().String()
	}
	if a.health != nil {
		out.Metrics = a.health.Addr().String()
	}
	if d.keeper != nil {
		out.Certificates = d.keeper.Certificates()
	}
	if d.guard.Verify != nil {
		out.Asks = append(out.Asks, api.AuthCertificate)
	}
	if d.tokens != nil {
		out.Asks, out.Tokens = append(out.Asks, api.AuthToken), d.tokens.Describe()
	}
	return out
}
