package api

import "time"

// Port is the xDS port, and how it is guarded.
type Port struct {
	Address  string   `json:"address"`
	Security Security `json:"security"`
	// Certificates are what is in use, that first which expires first.
	Certificates []Certificate `json:"certificates,omitempty"`
	// Refused is how often somebody was refused since the server started, by reason.
	Refused map[string]int64 `json:"refused,omitempty"`
	// Bounded is how often a client has come to a bound of what it may take since the server
	// started, by bound; LastBounded which client did so last, and to what end.
	Bounded       map[string]int64 `json:"bounded,omitempty"`
	LastBounded   string           `json:"last_bounded,omitempty"`
	LastBoundedAt time.Time        `json:"last_bounded_at,omitzero"`
}

// A Security is how the xDS port knows who connects.
type Security string

// What guards it.
const (
	SecurityMutualTLS Security = "mutual-tls"
	SecurityLocal     Security = "local"              // plain text, to this machine alone: loopback or a Unix socket
	SecurityInsecure  Security = "insecure-plaintext" // plain text to anyone, as --insecure-plaintext asks for
)

// A Certificate is one that is in use, or several in a row: then until the first of them expires.
type Certificate struct {
	Use       string    `json:"use"` // "server", or "client-ca": an authority of the proxies' certificates
	File      string    `json:"file"`
	Name      string    `json:"name"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Expiring  bool      `json:"expiring"` // in the last tenth of that time, or after it
	// Problem is why what is in the file now is not in use, "" where it is.
	Problem      string    `json:"problem,omitempty"`
	ProblemSince time.Time `json:"problem_since,omitzero"`
}
