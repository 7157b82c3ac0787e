package rollout

import (
	"fmt"
	"testing"
	"time"
)

// migration is a fleet to which proxies come from others, at random, and leave it again.
type migration struct {
	*world
	bases   map[string]string // of the proxies that come from elsewhere, until they are of this fleet
	runs    map[string]string // what proxies accepted last
	late    int               // proxies that were in trouble when others were taken in, and came later
	adopted int
	refused int
	moves   int
}

// Whatever happens, a proxy that comes from another fleet has what it ran there until it
// has proven what it is to have; a move changes nothing of what the fleet serves, and
// evidence against it nothing of what it has rejected; and each rollout comes to an end.
func TestMoveInvariants(t *testing.T) {
	adopted, refused, moves, late := 0, 0, 0, 0
	for seed := range uint64(200) {
		m := &migration{world: newWorld(t, seed), bases: map[string]string{}, runs: map[string]string{}}
		for range 1500 {
			m.happens()
			m.holds()
		}
		m.ends()
		adopted, refused, moves = adopted+m.adopted, refused+m.refused, moves+m.moves
		late += m.late
	}
	t.Logf("%d proxies moved, %d of them after the others, for trouble of their own, %d stayed, %d moves of what was served already", adopted, late, refused, moves)
	if adopted < 100 || refused < 100 || moves < 100 || late < 20 {
		t.Error("too little of it happened")
	}
}

// take steps the fleet and follows what it says of the proxies from elsewhere.
func (m *migration) take(e Event) {
	before := m.f.Rollout
	for _, effect := range m.f.Step(e, m.now) {
		switch e := effect.(type) {
		case Adopted:
			for _, node := range e.Nodes {
				if m.proxies[node] != nil && m.runs[node] != m.f.Serving.ID {
					m.t.Fatalf("seed %d: %s is taken in with %s, and runs %q", m.seed, node, m.f.Serving.ID, m.runs[node])
				}
				if r := before; r != nil && r.Late[node] {
					m.late++
				}
				delete(m.bases, node)
				m.adopted++
			}
		case NotAdopted:
			m.refused += len(e.Nodes)
		}
	}
}

func (m *migration) happens() {
	m.now = m.now.Add(time.Duration(m.r.IntN(400)) * time.Millisecond)
	node := fmt.Sprint("p", m.r.IntN(3))
	switch m.r.IntN(16) {
	case 0:
		if m.r.IntN(8) == 0 {
			m.offers()
		}
	case 1:
		if m.proxies[node] == nil || m.r.IntN(6) == 0 {
			m.comes(node, m.r.IntN(6) == 0)
		}
	case 2:
		if m.proxies[node] != nil && m.r.IntN(6) == 0 {
			m.leaves(node, m.r.IntN(3) == 0)
		}
	case 3:
		if m.r.IntN(12) == 0 {
			m.take(Command{Verb: []Verb{Pause, Resume, Promote, Abort}[m.r.IntN(4)], By: "alice"})
		}
	case 4:
		if m.r.IntN(12) == 0 {
			m.restarts()
		}
	case 5:
		m.move()
	case 6, 7:
		m.take(Tick{})
	case 8, 9, 10:
		m.serves(node)
	default:
		m.reports(node)
	}
}

func (m *migration) offers() {
	id := m.another()
	plan := defaultPlan()
	plan.Prove = 200 * time.Millisecond
	plan.Stages = []Stage{
		{Name: "canary", Proxies: 1, Bake: time.Second, Deadline: time.Minute},
		{Name: "all", Percent: 100, Deadline: time.Minute},
	}
	m.take(Offered{ID: id, Plan: plan, Staged: len(m.bases) > 0})
	m.take(Stored{id})
}

// move is what the loop does where the fleet serves what proxies are to come to.
func (m *migration) move() {
	if m.f.Rollout != nil || m.f.Serving.ID == "" {
		return
	}
	for node := range m.bases {
		if _, barred := m.f.Barred(node); barred && m.proxies[node] != nil {
			m.leaves(node, true)
		}
	}
	for node := range m.bases {
		if m.proxies[node] != nil {
			m.moves++
			m.take(Offered{ID: m.f.Serving.ID, Plan: defaultPlan(), Move: true})
			return
		}
	}
}

func (m *migration) comes(node string, fresh bool) {
	if m.proxies[node] == nil {
		m.proxies[node] = &model{}
		if m.bases[node] == "" && m.r.IntN(2) == 0 {
			m.bases[node] = fmt.Sprint("other/x", m.r.IntN(3))
		}
	}
	m.take(Joined{Node: node, Attributes: map[string]string{"id": node}, Health: true, Fresh: fresh, Base: m.bases[node]})
	m.take(Health{Node: node, Open: true})
}

func (m *migration) leaves(node string, moved bool) {
	m.take(Left{Node: node, Moved: moved})
	delete(m.proxies, node)
	if moved {
		delete(m.bases, node)
	}
}

func (m *migration) serves(node string) {
	a := m.f.Target(node)
	switch {
	case m.proxies[node] == nil || a.Live+a.Shadow == "":
	case m.bases[node] != "" && a.Live != m.bases[node] && node == "p2" && m.now.Second()%20 > 4: // something has a port of the other fleet
		m.take(Troubled{Node: node, Live: a.Live, Shadow: a.Shadow, Reason: "a port is in use"})
	default:
		m.runs[node] = a.Live
		m.take(Served{Node: node, Live: a.Live, Shadow: a.Shadow})
	}
}

func (m *migration) reports(node string) {
	a := m.f.Target(node)
	if m.proxies[node] == nil || a.Probe == ProbeNone {
		return
	}
	// What is good on others may not be on one.
	passed := !m.bad[a.Of] && (m.f.Rollout == nil || !m.f.Rollout.Move || m.r.IntN(20) > 0)
	m.take(answered(node, a, passed, m.proven))
}

func (m *migration) restarts() {
	restart(m.t, m.f)
	if r := m.f.Rollout; r != nil {
		for node, base := range r.Bases {
			if m.bases[node] != base {
				m.t.Fatalf("seed %d: after a restart %s goes back to %q, not to %q", m.seed, node, base, m.bases[node])
			}
		}
		m.take(Stored{r.Candidate.ID})
	}
	for node := range m.proxies {
		m.comes(node, false)
	}
}

func (m *migration) holds() {
	m.t.Helper()
	r := m.f.Rollout
	for node := range m.proxies {
		a, base := m.f.Target(node), m.bases[node]
		switch {
		case base == "" && r != nil && r.Move && a.Live != m.f.Serving.ID:
			m.t.Fatalf("seed %d: %s is of the fleet, and a move gives it %+v", m.seed, node, a)
		case base == "" || a.Live == base:
		case r == nil || a.Live != r.Candidate.ID:
			m.t.Fatalf("seed %d: %s is on %s, and is to have %+v", m.seed, node, base, a)
		case !m.proven[node+"/"+a.Live]:
			m.t.Fatalf("seed %d: %s is to have %s, which it has not proven", m.seed, node, a.Live)
		}
	}
	if r != nil && r.Move && r.Candidate != m.f.Serving {
		m.t.Fatalf("seed %d: a move of %v, and %v is served", m.seed, r.Candidate, m.f.Serving)
	}
	for _, rejected := range m.f.Rejected {
		if rejected.ID == m.f.Serving.ID {
			m.t.Fatalf("seed %d: %s is served and rejected: %s", m.seed, rejected.ID, rejected.Reason)
		}
	}
	if m.bad[m.f.Serving.ID] {
		m.t.Fatalf("seed %d: %s fails its checks, and is served", m.seed, m.f.Serving.ID)
	}
}

// ends lets everything that is under way come to its end.
func (m *migration) ends() { m.comesToAnEnd(m.take, m.serves, m.reports, m.holds) }

// Nothing is no revision that is known to be good, also where nothing is served yet: a
// proxy that has listeners of before would lose them by it.
func TestNothingIsNotConfirmed(t *testing.T) {
	f := &Fleet{}
	f.Step(Offered{ID: "a", Plan: Plan{Stages: []Stage{{Name: "all", Percent: 100}}, Shadow: true}}, time.Time{})
	if f.Confirmed("") || !f.Confirmed("a") {
		t.Errorf("nothing is confirmed: %v; the first revision: %v", f.Confirmed(""), f.Confirmed("a"))
	}
}

// At the end of a move nothing is served that was not: what is said of it is whose the
// proxies are.
func TestHoldUpOfAMove(t *testing.T) {
	r := newRollout(Revision{ID: "a", Number: 1}, Plan{Stages: []Stage{{Name: "all", Percent: 100, Bake: time.Minute}}}, time.Unix(0, 0))
	r.bakeSince, r.members = time.Unix(0, 0), 1
	for move, want := range map[bool]string{true: "its proxies are this fleet's", false: "it is the revision that is served"} {
		r.Move = move
		h := &HoldUp{Stage: "all"}
		h.confirmed(r, time.Unix(1, 0))
		if h.Then != want {
			t.Errorf("in the end %q, want %q", h.Then, want)
		}
	}
}
