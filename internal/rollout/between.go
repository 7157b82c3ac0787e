package rollout

import (
	"fmt"
	"time"
)

// Kinds of HoldUp of a fleet that has no rollout.
const (
	WaitAsking Wait = "asking"           // proxies answer the changed checks of what is served
	WaitRetry  Wait = "to be tried anew" // a revision was rejected for its surroundings
	// WaitElsewhere is for a rollout of another fleet, which has proxies that this one's match
	// claims. The loop, which knows of both, says so.
	WaitElsewhere Wait = "held elsewhere"
)

// Between is what a fleet waits for between two rollouts; nil for nothing.
func (f *Fleet) Between(now time.Time) *HoldUp {
	retry := f.retryAt()
	switch {
	case f.Rollout != nil:
		return nil
	case f.Survey != nil:
		return f.asking(now)
	case !retry.IsZero():
		r := f.Rejected[f.rejection(f.onDisk)]
		h := HoldUp{Kind: WaitRetry, Since: r.At, Until: retry, Then: "it is tried again", Do: "xds rollout retry"}
		h.Text = h.sentence(fmt.Sprintf("revision %d was rejected only for what is around it (%s)", r.Number, r.Reason), "tries it now", now)
		return &h
	}
	return nil
}

// asking is what the survey waits for.
func (f *Fleet) asking(now time.Time) *HoldUp {
	h := HoldUp{Kind: WaitAsking, Since: f.Survey.Since, Until: f.Survey.Since.Add(surveyTime), Then: "what is known by then is told"}
	silent, _ := f.Survey.silent(f.proxies)
	h.name(silent)
	h.Text = fmt.Sprintf("%s to answer the changed checks of what is served, for %s now; in %s at the latest %s",
		"it is waited for "+h.who(), seconds(now.Sub(h.Since)), seconds(h.Until.Sub(now)), h.Then)
	return &h
}
