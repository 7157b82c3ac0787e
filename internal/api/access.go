package api

import "time"

// A Role is what somebody may do in the admin API.
type Role string

// The roles.
const (
	RoleView    Role = "view"    // ask
	RoleOperate Role = "operate" // and change something
)

// Roles are all of them.
var Roles = []Role{RoleView, RoleOperate}

// May is whether who has a role may do what takes another.
func (r Role) May(what Role) bool { return r == RoleOperate || r == RoleView && what == RoleView }

// Admin is where the admin API is, and who may ask it.
type Admin struct {
	Socket  string `json:"socket,omitempty"`  // path of its Unix socket
	Address string `json:"address,omitempty"` // of TCP
	TLS     bool   `json:"tls,omitempty"`
	// Metrics is the address of what anyone may ask who reaches it, --metrics; "": the ones above alone.
	Metrics string `json:"metrics,omitempty"`
	// Asks is how those who come by TCP prove who they are; none: all of this machine may operate.
	Asks   []AuthKind  `json:"asks,omitempty"`
	Tokens *TokensFile `json:"tokens,omitempty"`
	// Certificates are what is in use, that first which expires first.
	Certificates []Certificate `json:"certificates,omitempty"`
	// Refused is how often somebody was refused since the server started, by reason.
	Refused map[string]int64 `json:"refused,omitempty"`
}

// An AuthKind is how somebody has proven who they are.
type AuthKind string

// How it is proven.
const (
	AuthSocket      AuthKind = "socket"      // the Unix socket lets only the server's user, and root
	AuthLoopback    AuthKind = "loopback"    // not at all: it is somebody on this machine
	AuthToken       AuthKind = "token"       // by a bearer token
	AuthCertificate AuthKind = "certificate" // by a client certificate
)

// TokensFile is the file of bearer tokens.
type TokensFile struct {
	File  string `json:"file"`
	Count int    `json:"count"` // tokens that are in use
	// Problem is why what is in the file now is not in use, "" where it is.
	Problem      string    `json:"problem,omitempty"`
	ProblemSince time.Time `json:"problem_since,omitzero"`
}
