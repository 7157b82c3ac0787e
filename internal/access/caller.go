package access

import (
	"context"
	"strconv"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// A Caller is who asks.
type Caller struct {
	Name    string // of the token or the certificate
	How     api.AuthKind
	Address string // where from
	Role    api.Role

	peer    peer   // of a socket
	refused func() // counts it where they may not do what they ask
}

// Refused notes that a caller has not the role for what they ask.
func (c Caller) Refused() {
	if c.refused != nil {
		c.refused()
	}
}

// String is the caller for people.
func (c Caller) String() string {
	switch c.How {
	case api.AuthToken, api.AuthCertificate:
		return string(c.How) + " " + c.Name
	case api.AuthSocket, api.AuthLoopback:
	}
	return "who comes by " + string(c.How)
}

// Source is the caller as the history has it. Of a socket it has the user and the process, as far
// as the system knows them.
func (c Caller) Source() api.Source {
	out := api.Source{Identity: c.Name, How: string(c.How), Address: c.Address}
	if c.How == api.AuthSocket && c.peer.pid > 0 {
		out.Identity, out.Address = c.peer.user(), "pid "+strconv.Itoa(c.peer.pid)
	}
	return out
}

type callerKey struct{}

// With is a context of what a caller asks.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is who asks; without a role where nobody has said.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
