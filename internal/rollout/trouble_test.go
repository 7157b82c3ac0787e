package rollout

import (
	"strings"
	"testing"
	"time"
)

// What ends a proxy's trouble is said, whatever it is: a time, or else what must happen.
func TestTroubleSaysWhatEndsIt(t *testing.T) {
	at := epoch.Add(time.Minute)
	for want, c := range map[string]struct {
		trouble trouble
		set     func(*Fleet)
	}{
		"":                           {trouble: trouble{next: at}},
		"its answer to the last try": {},
		"the first that is heard":    {trouble: trouble{silent: true}},
		"when its clock is right":    {trouble: trouble{clock: true}},
		"when the fleet has a file":  {trouble: trouble{next: at}, set: func(f *Fleet) { f.fileless = &noFile{} }},
		"when the rollout goes on":   {trouble: trouble{next: at, back: true}, set: func(f *Fleet) { f.Rollout.Paused = true }},
	} {
		c.trouble.reason = "a port is in use"
		f := &Fleet{proxies: map[string]*proxy{"a": {trouble: &c.trouble}}, Rollout: &Rollout{}}
		if c.set != nil {
			c.set(f)
		}
		got := f.TroubleOf("a")
		if got.Reason != c.trouble.reason || !strings.Contains(got.Ends, want) || (got.Ends == "") != (want == "") || got.Next.IsZero() == (want == "") {
			t.Errorf("%+v, want %q", got, want)
		}
	}
	if got := (&Fleet{}).TroubleOf("a"); got != (Trouble{}) {
		t.Errorf("of one that is not there: %+v", got)
	}
}
