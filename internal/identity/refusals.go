package identity

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// A Reason is why somebody was refused. There are these and no others, for they are a label of
// a metric.
type Reason string

// Why somebody was refused.
const (
	NoCertificate Reason = "no_certificate"
	Untrusted     Reason = "untrusted" // by no authority of --client-ca, or one for something else than clients
	Expired       Reason = "expired"
	NotYetValid   Reason = "not_yet_valid"
	Handshake     Reason = "handshake"    // it is no TLS, of a version that is too old, or was given up
	Unmapped      Reason = "unmapped"     // nothing in it may claim a node id
	OtherNode     Reason = "other_node"   // it may not claim this one
	NodeChanged   Reason = "node_changed" // in mid-stream
	NoNode        Reason = "no_node"      // a stream that does not say who it is
	OtherFleet    Reason = "other_fleet"  // it may not be of the fleet that matches it
	Revoked       Reason = "revoked"      // no authority that is in use now has issued it
)

// Reasons are all of them.
var Reasons = []Reason{
	NoCertificate, Untrusted, Expired, NotYetValid, Handshake, Unmapped, OtherNode, NodeChanged, NoNode, OtherFleet, Revoked,
}

// A line of each reason is logged in so long; how many were not, the next one says.
const logEvery = 10 * time.Second

// refusals are counted, and logged at a bounded rate.
type refusals struct {
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	counts map[Reason]int64
	logged map[Reason]time.Time
	silent map[Reason]int
}

func (r *refusals) add(reason Reason, detail ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[reason]++
	now := r.now()
	if last, ok := r.logged[reason]; ok && now.Sub(last) < logEvery {
		r.silent[reason]++
		return
	}
	r.log.Warn("refused at the xDS port", append([]any{"reason", string(reason), "not_logged_before", r.silent[reason]}, detail...)...)
	r.logged[reason], r.silent[reason] = now, 0
}

// all are the counts of all reasons, those of none too: a metric is to be there from the start.
func (r *refusals) all() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]int64{}
	for _, reason := range Reasons {
		out[string(reason)] = r.counts[reason]
	}
	return out
}

// reasonOf is why a handshake failed, or a certificate does not hold any more.
func reasonOf(err error, now time.Time) Reason {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore):
		return NotYetValid
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Expired
	case errors.As(err, &unknown), errors.As(err, &invalid):
		return Untrusted
	case strings.Contains(err.Error(), "didn't provide a certificate"): // crypto/tls has no name for it
		return NoCertificate
	}
	return Handshake
}
