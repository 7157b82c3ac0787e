package access

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// open is whether all that come by TCP may operate: nothing is set by which to tell them apart.
func (g *Guard) open() bool { return g.Tokens == nil && g.Verify == nil }

// who is the one that asks by TCP.
func (g *Guard) who(r *http.Request) (Caller, *api.Error) {
	c := Caller{How: api.AuthLoopback, Address: r.RemoteAddr, Role: api.RoleOperate}
	if g.open() {
		return c, nil
	}
	if g.Verify != nil && r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		if err := g.Verify(r.TLS.PeerCertificates); err != nil {
			return c, api.NewError(api.CodeUnauthenticated, "the client certificate is not taken any more: "+err.Error())
		}
		c.How = api.AuthCertificate
		if c.Name, c.Role = g.Roles(r.TLS.PeerCertificates[0]); c.Role != "" {
			c.Name = plain(c.Name)
			return c, nil
		}
	}
	if shown, is := bearer(r); is && g.Tokens != nil {
		t, ok := g.Tokens.find(shown)
		if !ok {
			return c, api.NewError(api.CodeUnauthenticated, "the token is none of this server's")
		}
		return Caller{Name: t.Name, How: api.AuthToken, Address: r.RemoteAddr, Role: t.Role}, nil
	}
	if c.How == api.AuthCertificate {
		return c, api.NewError(api.CodeForbidden, fmt.Sprintf("the certificate of %q has no role: --admin-roles gives it one", c.Name))
	}
	return c, api.NewError(api.CodeUnauthenticated, "who asks is to prove who they are: by "+strings.Join(g.asks(), " or "))
}

// plain is a name of a certificate, which may be anything, as it goes into logs and tables.
func plain(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	if runes := []rune(name); len(runes) > maxName {
		name = string(runes[:maxName]) + "…"
	}
	return name
}

const maxName = 200

func (g *Guard) asks() (all []string) {
	if g.Verify != nil {
		all = append(all, "a client certificate (xds: --admin-cert, --admin-key)")
	}
	if g.Tokens != nil {
		all = append(all, "a bearer token (xds: --admin-token-file, or XDS_ADMIN_TOKEN)")
	}
	return all
}

func bearer(r *http.Request) (token string, is bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// known has what comes by TCP answered for who asks, if it is known who that is.
func (g *Guard) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := g.who(r)
		if err != nil {
			reason := ReasonUnauthenticated
			if err.Code == api.CodeForbidden {
				reason = ReasonRole
			} else {
				w.Header().Set("WWW-Authenticate", "Bearer")
			}
			g.refuse(w, r, reason, err)
			return
		}
		ctx, stop := context.WithCancel(With(r.Context(), g.noted(c)))
		defer stop()
		if !g.open() {
			go g.stillKnown(ctx, stop, r)
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// noted has a caller's refusals for the role counted.
func (g *Guard) noted(c Caller) Caller {
	c.refused = func() { g.count(ReasonRole) }
	return c
}

// recheck is how often it is looked whether who follows the events still may.
const recheck = 5 * time.Second

// stillKnown ends what a caller asks, once the token or certificate by which they may is taken away.
func (g *Guard) stillKnown(ctx context.Context, stop func(), r *http.Request) {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if c, err := g.who(r); err != nil || c.Role != CallerOf(ctx).Role {
				stop()
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
