package rollout

import (
	"fmt"
	"time"
)

// otherAnswers are answers of other classes than before: a path that is not found any more, a
// redirect, a filter that lets everyone in, or no one. They are evidence against what is tried;
// later, and with no proxy beside it that has another revision, users change by themselves.
var otherAnswers = &source{
	name: "answers", byRequests: true,
	against: byLimits(OtherAnswers, (*step).answersOtherwise, Plan.answersFacet),
}

const ifMeant = "if that is meant, `xds rollout retry --answers-meant` tries it again without this evidence"

// answersOtherwise says in which way a proxy that was flipped, or all that were, answer
// otherwise than before.
func (s *step) answersOtherwise(node string, limits Limits) string {
	p := s.proxies[node]
	h := &p.traffic.habit
	if limits.Answers == 0 || !s.judgesAnswers(p) {
		return ""
	}
	a, one := s.around(limits.MinRequests), subject{looks: &h.looks, found: &h.found}
	one.add(h.own, h.sum(), &p.traffic)
	h.looks++
	reason, open := s.holdAgainst(a, &one, limits)
	if reason == "" && a.treated > 1 {
		var all bool
		reason, all = s.holdAgainst(a, &a.pool, limits)
		open = open || all
	}
	s.undecided(node+" answers", open && reason == "")
	return reason
}

// judgesAnswers is whether what a proxy answers is held against what it did before: it was
// flipped in this stage, from what the fleet serves, and nobody has said that it is meant.
func (s *step) judgesAnswers(p *proxy) bool {
	r := s.Rollout
	return r != nil && !r.Move && s.Serving.ID != "" && p.base == "" && p.traffic.habit.treated && s.Meant != r.Candidate.ID
}

// A subject is what is held against the rest: one proxy that was flipped, or all of them.
type subject struct {
	sums   [len(classes)]sums
	bursts [len(classes)]dispersion
	looks  *uint32    // the how many-th this is
	found  *time.Time // since when it answers otherwise
}

func (x *subject) add(before, now tally, t *traffic) {
	for c := range class(len(classes)) {
		x.sums[c].add(c, before, now)
		x.bursts[c].add(c, t)
	}
}

// holdAgainst says in which way a subject answers otherwise, once that has lasted, and whether
// it may be that it does.
func (s *step) holdAgainst(a *surroundings, x *subject, limits Limits) (reason string, open bool) {
	if min(x.sums[0].before, x.sums[0].now) < float64(max(limits.MinRequests, 1)) {
		*x.looks = 0 // there was nothing to look at
		return "", false
	}
	looks := float64(max(*x.looks, 1))
	mayErr := mistaken / float64(a.treated+1) / looks / (looks + 1)
	for c := range class(len(classes)) {
		alone := a.rest[c].now == 0
		one, rest, all := x.sums[c], a.rest[c], a.all[c]
		if s.Rollout.baseline.earlier != "" {
			if alone {
				continue
			}
			one, rest, all = one.since(rest), rest.since(rest), all.since(rest)
		}
		f := one.judge(rest, all, x.bursts[c].factor(), limits.Answers, max(a.swing[c], a.other(c, x), s.habits.usual(c, alone)), mayErr)
		open = open || f.likely
		if f.certain && reason == "" {
			reason = x.sums[c].say(c, a.rest[c], limits, s.Rollout.baseline.earlier, a.hadOnly)
		}
	}
	switch {
	case reason == "":
		*x.found = time.Time{}
	case x.found.IsZero():
		*x.found, reason = s.now, ""
	case s.now.Sub(*x.found) < a.report+reportSlack:
		reason = "" // the others are yet to report on the same time
	}
	return reason, open
}

// say is a finding in words.
func (x *sums) say(c class, rest sums, limits Limits, earlier string, hadOnly bool) string {
	out := fmt.Sprintf("%.1f%% of %.0f answers other than 5xx are %s, and before they had the revision %.1f%% on these proxies", 100*x.share(), x.now, classes[c].name, 100*x.base())
	if rest.now > 0 {
		others := "on the others"
		if hadOnly {
			others = "on those that had it before the stage"
		}
		out += fmt.Sprintf("; %s they went from %.1f%% to %.1f%% at the same time", others, 100*rest.base(), 100*rest.share())
	}
	if earlier != "" {
		out += ", and what is served was too new to compare with it alone: before is with the revision before it"
	}
	return fmt.Sprintf("%s (limit: %.1f%% more or fewer); %s", out, 100*limits.Answers, ifMeant)
}
