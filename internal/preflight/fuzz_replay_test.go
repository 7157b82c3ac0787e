package preflight

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// Whatever is in a file of requests, it is refused, or can be written and read again and then is
// the same, and a filter can be asked what it says within the limits.
func FuzzReplay(f *testing.F) {
	for _, text := range []string{
		"filter: a\nsteps: [{name: n, request: {headers: [{name: ':path', value: /}], body: [a, {bytes: \"\\xff\"}]}, response: {headers: []}}]\n",
		"filter: a\nsteps: [{name: n, detail: d, client_leaves_after: 3, bare: true, request: {trailers: [{name: t, value: {bytes: \"\\x00\"}}]}, response: {}, beside: {headers: []}}]\n",
		"steps: [{client_leaves_after: -1}]", "steps: []", "", "a: &a [*a]", "steps: [{request: {headers: [{name: n, value: {bytes: \u0100}}]}}]",
		"steps: [{request: &a {headers: []}, response: {<<: *a}}]",
	} {
		f.Add([]byte(text))
	}
	filter := assemble(f, "(func)")
	s := New(Limits{Start: 200 * time.Millisecond, Call: 20 * time.Millisecond, Memory: 4 << 20}, nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadReplay(data)
		if err != nil {
			if strings.Contains(err.Error(), "\x00") || err.Error() == "" {
				t.Errorf("%q is no error for people", err)
			}
			return
		}
		if len(r.Steps) == 0 || len(r.Steps) > 1000 {
			return
		}
		text, err := r.Text()
		if err != nil {
			t.Fatalf("it is read, and can't be written: %v", err)
		}
		again, err := ReadReplay(text)
		if err != nil {
			t.Fatalf("it is written, and can't be read: %v\n%s", err, text)
		}
		if twice, err := again.Text(); err != nil || !bytes.Equal(text, twice) {
			t.Errorf("written twice it is not the same (%v):\n%s\n%s", err, text, twice)
		}
		answers, err := s.Replay(t.Context(), Plugin{Module: filter}, r)
		if e := (*Error)(nil); err != nil && !errors.As(err, &e) {
			t.Errorf("an error without a step: %v", err)
		}
		if len(answers) > len(r.Steps) || err == nil && len(answers) != len(r.Steps) {
			t.Errorf("%d answers to %d requests (%v)", len(answers), len(r.Steps), err)
		}
	})
}
