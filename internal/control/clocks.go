package control

import (
	"fmt"
	"time"

	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Envoy takes a certificate that is not valid, and only handshakes fail. The server knows the
// certificates that it sends and, by the counters that a proxy sends, the proxy's clock. What
// is valid by its own and not by the proxy's is that proxy's trouble.

const (
	// clockSlack is how old the time of a proxy's counters may be when they come in.
	clockSlack = 5 * time.Second
	// clockWrong is from when on a difference is said, whatever comes of it.
	clockWrong = 5 * time.Minute
)

// clock takes what a proxy's clock says, and looks at it again when it has been given
// something else.
func (c *Control) clock(s *fleetState, n *nodeState) {
	if n.clockKnown.IsZero() {
		return
	}
	of, reason := "", ""
	for _, id := range []string{n.target.Live, n.target.Shadow} {
		if reason = s.wrongClock(id, n.skew, time.Now()); reason != "" {
			of = id
			break
		}
	}
	if reason != "" || n.clockTold {
		n.clockTold = reason != ""
		c.step(s, rollout.Clock{Node: n.node.GetId(), Of: of, Reason: reason})
	}
}

// tick notes a proxy's clock.
func (n *nodeState) tick(at, clock time.Time) {
	if !clock.IsZero() {
		n.clockKnown, n.skew = at, clock.Sub(at)
	}
}

// wrongClock is which certificate of a revision is valid, but not by a clock that is ahead by
// so much; "" for none.
func (s *fleetState) wrongClock(id string, skew time.Duration, now time.Time) string {
	if skew > -clockSlack && skew < clockSlack {
		return ""
	}
	its := now.Add(skew)
	if skew < 0 {
		its = its.Add(clockSlack)
	}
	for _, c := range s.certificatesOf(id) {
		if why := c.WhyInvalid(its); why != "" && c.WhyInvalid(now) == "" {
			return fmt.Sprintf("its clock is %s: the %s of %s %s by it; set its clock", offset(skew), c.What, c.Of, why)
		}
	}
	return ""
}

// certificatesOf are those of a revision.
func (s *fleetState) certificatesOf(id string) []snapshot.Certificate {
	snap := s.snapshots[id]
	if snap == nil {
		return nil
	}
	if list, read := s.certificates[id]; read {
		return list
	}
	if s.certificates == nil || len(s.certificates) > len(s.snapshots) {
		s.certificates = map[string][]snapshot.Certificate{}
	}
	s.certificates[id] = snap.Certificates()
	return s.certificates[id]
}

// offset says by how much a clock is wrong.
func offset(skew time.Duration) string {
	direction := "ahead of"
	if skew < 0 {
		direction, skew = "behind", -skew
	}
	text := skew.Round(time.Second).String()
	if days := skew.Round(24*time.Hour) / (24 * time.Hour); days > 1 {
		text = fmt.Sprintf("%d days", days)
	}
	return fmt.Sprintf("%s %s the server's", text, direction)
}

// clockText is what is said of a proxy's clock in its status.
func (n *nodeState) clockText() string {
	if n.clockKnown.IsZero() || n.skew > -clockWrong && n.skew < clockWrong {
		return ""
	}
	return "its clock is " + offset(n.skew)
}

// sayCertificates says of a file that was saved which of its certificates are not valid.
func (c *Control) sayCertificates(s *fleetState, f build.File) {
	for _, certificate := range f.Certificates {
		if why := certificate.WhyInvalid(time.Now()); why != "" {
			c.sayNotice(s, fmt.Sprintf("%s:%d: this %s %s: proxies take it, and handshakes fail", f.Path, certificate.Line, certificate.What, why))
		}
	}
}

// invalidCertificates are those of what is served, and of a candidate, that are not valid.
func (s *fleetState) invalidCertificates(now time.Time) []string {
	var out []string
	for _, r := range []rollout.Revision{s.rollout.Serving, s.candidate()} {
		for _, c := range s.certificatesOf(r.ID) {
			if why := c.WhyInvalid(now); why != "" {
				out = append(out, fmt.Sprintf("the %s of %s in revision %d %s: handshakes fail", c.What, c.Of, r.Number, why))
			}
		}
	}
	return out
}
