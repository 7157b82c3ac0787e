package access

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// A Guard stands before the admin API.
type Guard struct {
	Log   *slog.Logger
	Names Names
	// Tokens, and certificates that Verify takes, are how those prove who they are who come by
	// TCP; with neither all of them may operate. Roles says which certificate has which role.
	Tokens *Tokens
	Verify func(sent []*x509.Certificate) error
	Leaf   func() *x509.Certificate // the server's, where there is TLS
	Roles  func(*x509.Certificate) (name string, role api.Role)

	refused [len(Reasons)]atomic.Int64
}

// A Reason is why somebody is refused: a label of metrics.
type Reason string

// The reasons.
const (
	ReasonHost      Reason = "host"
	ReasonCrossSite Reason = "cross_site"

	ReasonUnauthenticated Reason = "unauthenticated"
	ReasonRole            Reason = "role"
)

// Reasons are all of them.
var Reasons = [...]Reason{ReasonHost, ReasonCrossSite, ReasonUnauthenticated, ReasonRole}

// Socket guards what comes by a Unix socket, which no browser does. What Host its clients
// send means nothing.
func (g *Guard) Socket(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.sameSite(w, r) {
			c := Caller{How: api.AuthSocket, Role: api.RoleOperate}
			c.peer, _ = r.Context().Value(peerKey{}).(peer)
			next.ServeHTTP(w, r.WithContext(With(r.Context(), g.noted(c))))
		}
	})
}

// TCP guards what comes by TCP.
func (g *Guard) TCP(next http.Handler) http.Handler {
	next = g.known(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.named(w, r) && g.sameSite(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

func (g *Guard) named(w http.ResponseWriter, r *http.Request) bool {
	if g.Names.answersTo(r.Host) || g.ownName(r) {
		return true
	}
	g.refuse(w, r, ReasonHost, api.NewError(api.CodeMisdirected, fmt.Sprintf("the Host %q is not one of this server's: --admin-host says which names it has besides loopback's", r.Host)))
	return false
}

// ownName is whether the certificate that the server has shown is for the name: no page can have
// one for a name of its own.
func (g *Guard) ownName(r *http.Request) bool {
	if g.Leaf == nil || r.TLS == nil {
		return false
	}
	name, ok := hostName(r.Host)
	return ok && g.Leaf().VerifyHostname(name) == nil
}

func (g *Guard) sameSite(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	// A browser that sends neither header is to keep from its pages what it is answered.
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	if !crossSite(r) {
		return true
	}
	g.refuse(w, r, ReasonCrossSite, api.NewError(api.CodeForbidden, "a page of another site asks (Origin, Sec-Fetch-Site): it gets nothing"))
	return false
}

func (g *Guard) count(why Reason) {
	for i, reason := range Reasons {
		if reason == why {
			g.refused[i].Add(1)
		}
	}
}

// refuse answers with an error, and counts it.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, why Reason, err *api.Error) {
	g.count(why)
	g.Log.Debug("the admin API refuses a request", "reason", why, "from", r.RemoteAddr)
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Type", api.ErrorType)
	w.WriteHeader(err.Status)
	if e := json.NewEncoder(w).Encode(err); e != nil {
		g.Log.Debug("an answer did not reach who asked", "error", e)
	}
}

// Refused is how often somebody was refused, by reason.
func (g *Guard) Refused() map[string]int64 {
	all := map[string]int64{}
	for i, reason := range Reasons {
		if n := g.refused[i].Load(); n > 0 {
			all[string(reason)] = n
		}
	}
	return all
}
