package fleet

import "time"

// timings refuses times of the rollout stanza that can't be kept together: a revision would
// be rejected, or stay, whatever it is. Other pairs of them don't touch each other: a bake
// begins when no deadline runs any more, and the watch when the last bake is over.
func (p *parser) timings() {
	doc, r := p.doc.Rollout, p.fleet.Rollout
	for i, s := range r.Stages {
		given := at[time.Duration]{}
		if len(doc.Stages) > 0 {
			given = doc.Stages[i].Deadline
		}
		if s.Deadline == 0 || s.Deadline > r.Prove || !p.proves() && (given.line == 0 || doc.Prove.line == 0) {
			continue
		}
		if given.line == 0 {
			p.add(doc.Prove.line, "rollout: prove is %s, but a stage without a deadline of its own has one of %s: no proxy could prove a revision in time", r.Prove, s.Deadline)
			continue
		}
		p.add(given.line, "rollout: stage %q: deadline is %s, but must be over prove (%s), or 0s for none: no proxy could prove a revision in time", s.Name, s.Deadline, r.Prove)
	}
	switch {
	case r.Watch == 0 && r.OnEvidence == "undo":
		p.add(doc.On.line, "rollout: on_evidence is undo, but watch is 0s: nothing is ever taken back; give watch a time, or have on_evidence report")
	case r.Watch > 0 && r.Watch < leastWatch:
		p.add(doc.Watch.line, "rollout: watch is %s, in which no proxy reports: it must be %s or more, or 0s for none", r.Watch, leastWatch)
	}
}

// leastWatch is how often proxies send their counters, and are asked the checks of what is served.
const leastWatch = time.Second

// proves is whether a filter has checks that are asked in shadow listeners.
func (p *parser) proves() bool {
	for _, doc := range p.doc.Filters {
		if len(doc.Checks) > 0 && (doc.Shadow == nil || *doc.Shadow) {
			return true
		}
	}
	return false
}
