package rollout

import (
	"testing"
	"time"
)

// Where probes end, some of their answers look as if they were to users. The fleet's users are not
// taken to be used to such swings, for which a change may answer them as it likes; of users they are.
func TestAnswersToLostProbesAreNoHabit(t *testing.T) {
	for _, lost := range []bool{true, false} {
		s := flippedProxy(t)
		for i := range 60 {
			s.now = s.now.Add(time.Second)
			c := Counters{At: s.now, Requests: 100, Begun: 100, Denials: 25}
			if i == 30 || i == 31 {
				c.Requests, c.Begun, c.Denials, c.ProbesLost = 200, 200, 125, lost
			}
			s.counted(Counted{Node: "other", Counters: c})
		}
		if usual := s.habits.usual(denials, true); (usual < 0.05) != lost {
			t.Errorf("lost %t: usual are swings of %.2f", lost, usual)
		}
	}
}

// The seconds of which it is not known are left out of what varies from one to the next.
func TestAnswersToLostProbesDoNotVary(t *testing.T) {
	var known, lost share
	for i := range 8 {
		w := window{requests: 100, denials: 25, span: time.Second}
		known.add(w)
		if i%3 == 0 {
			w.denials, w.classless = 90, true
		}
		lost.add(w)
	}
	var a, b dispersion
	a.addSeconds(denials, &known)
	b.addSeconds(denials, &lost)
	if a.squares != b.squares || b.free != a.free-3 {
		t.Errorf("%+v with them, %+v without", b, a)
	}
	if w, _ := lost.newest(1); !w.classless || w.denials != 0 || w.requests != 100 {
		t.Errorf("it is kept as %+v", w)
	}
}
