package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// script is a server as --wait sees it: what it says, look by look, the last again and again.
type script struct {
	looks []look
	next  int
}

type look struct {
	status control.Status
	err    error
}

func says(f control.FleetStatus) look {
	f.Fleet = "edge"
	return look{status: control.Status{Fleets: []control.FleetStatus{f}}}
}

func disk(state control.DiskState, content string, proxies int) control.FleetStatus {
	return control.FleetStatus{Proxies: proxies, Disk: control.DiskStatus{State: state, Content: content, Why: "because of this save"}}
}

func held(kind rollout.Wait, proxies int) look {
	f := disk(control.DiskTried, "new", proxies)
	f.WaitsFor = &rollout.HoldUp{Kind: kind, Text: "it waits: " + string(kind)}
	return says(f)
}

var down = look{err: noServerError{errors.New("no xds answers")}}

// Each end of --wait has an exit status of its own, and says why.
func TestWait(t *testing.T) {
	reading, served := says(disk(control.DiskReading, "", 1)), says(disk(control.DiskServed, "new", 1))
	older := disk(control.DiskServed, "new", 1)
	older.Rejected = []rollout.Rejection{{Reason: "an older one"}}
	asked := disk(control.DiskServed, "new", 1)
	asked.WaitsFor = &rollout.HoldUp{Kind: rollout.WaitAsking}
	asking := says(asked)
	unread := look{status: control.Status{Unsettled: true}}
	for _, c := range []struct {
		name    string
		timeout time.Duration
		looks   []look
		status  int
		holds   string
		within  time.Duration
	}{
		{"served", 0, []look{served}, exitOK, "", time.Second},
		{"served, and an older one was rejected", 0, []look{says(older)}, exitOK, "", time.Second},
		{"read, tried, served", 0, []look{reading, reading, held(rollout.WaitWarming, 1), served}, exitOK, "", 2 * time.Second},
		{"noticed a moment later", 0, []look{says(disk(control.DiskServed, "old", 1)), reading, served}, exitOK, "", time.Second},
		{"the first fleet of a new server", 0, []look{unread, unread, served}, exitOK, "", time.Second},
		{"served, when its checks were asked", 0, []look{asking, asking, asking, served}, exitOK, "", time.Second},
		{"served, and its checks are asked still", time.Second, []look{asking}, exitOK, "", 2 * time.Second},
		{"refused", 0, []look{reading, says(disk(control.DiskRefused, "new", 1))}, exitRejected, "because of this save", time.Second},
		{"rejected", 0, []look{held(rollout.WaitProving, 1), held(rollout.WaitProving, 1), says(disk(control.DiskRejected, "new", 1))}, exitRejected, "because of this save", time.Second},
		{"aborted", 0, []look{says(disk(control.DiskAborted, "new", 1))}, exitRejected, "aborted", time.Second},
		{"undone", 0, []look{says(disk(control.DiskUndone, "new", 1))}, exitRejected, "undone", time.Second},
		{"timed out", 5 * time.Second, []look{held(rollout.WaitBaking, 1)}, exitTimeout, "baking", 6 * time.Second},
		{"timed out in the sandbox", 5 * time.Second, []look{reading}, exitTimeout, "being read", 6 * time.Second},
		{"to be approved", 5 * time.Second, []look{held(rollout.WaitApproval, 1)}, exitPerson, "awaiting approval", 6 * time.Second},
		{"paused", 5 * time.Second, []look{held(rollout.WaitPaused, 1)}, exitPerson, "paused", 6 * time.Second},
		{"approved in time", 5 * time.Second, []look{held(rollout.WaitApproval, 1), held(rollout.WaitApproval, 1), served}, exitOK, "", time.Second},
		{"no server", 5 * time.Second, []look{down}, exitNoServer, "no xds answers", 6 * time.Second},
		{"no server, and no timeout", 0, []look{down}, exitNoServer, "no xds answers", 31 * time.Second},
		{"restarted meanwhile", 0, []look{held(rollout.WaitWarming, 1), held(rollout.WaitWarming, 1), down, down, unread, reading, held(rollout.WaitNoProxy, 0), held(rollout.WaitWarming, 1), served}, exitOK, "", 3 * time.Second},
		{"nobody", 5 * time.Second, []look{held(rollout.WaitNoProxy, 0)}, exitNobody, "no proxy", 6 * time.Second},
		{"nobody, and no timeout", 0, []look{held(rollout.WaitNoProxy, 0)}, exitNobody, "no proxy", 16 * time.Second},
		{"served to nobody", 0, []look{says(disk(control.DiskServed, "new", 0))}, exitNobody, "no proxy", 16 * time.Second},
		{"served to nobody, until one comes", 0, []look{says(disk(control.DiskServed, "new", 0)), says(disk(control.DiskServed, "new", 0)), served}, exitOK, "", time.Second},
		{"replaced", 0, []look{held(rollout.WaitWarming, 1), held(rollout.WaitWarming, 1), says(disk(control.DiskServed, "newer", 1))}, exitReplaced, "a newer save", time.Second},
		{"no such fleet", 0, []look{{status: control.Status{}}}, exitFailed, "there is no fleet", time.Second},
		{"a fleet that can't be read", 0, []look{{status: control.Status{Problems: map[string]string{"x.yaml": "x.yaml:3: no"}}}}, exitRejected, "x.yaml:3: no", time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took, err := (&script{looks: c.looks}).wait(t.Context(), c.timeout)
				if got := statusOf(err); got != c.status || err != nil && !strings.Contains(err.Error(), c.holds) || took > c.within {
					t.Errorf("exit status %d after %s, want %d within %s and %q: %v", got, took, c.status, c.within, c.holds, err)
				}
			})
		})
	}
}

func (s *script) wait(ctx context.Context, timeout time.Duration) (time.Duration, error) {
	fleet := ""
	w := waiter{flags: rolloutFlags{fleet: &fleet, timeout: &timeout}, ask: s.ask, said: io.Discard, began: time.Now()}
	_, err := w.wait(ctx)
	return time.Since(w.began), err
}

func (s *script) ask(context.Context) (control.Status, error) {
	l := s.looks[min(s.next, len(s.looks)-1)]
	s.next++
	return l.status, l.err
}

// A server that is not there has an exit status, whatever it is asked.
func TestNoServerHasAnExitStatus(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	getenv := func(name string) string {
		return map[string]string{"XDS_ADMIN": strings.TrimPrefix(gone.URL, "http://")}[name]
	}
	for _, args := range [][]string{{"status"}, {"rollout", "status"}, {"rollout", "abort"}, {"diff"}} {
		if got := run(args, getenv, io.Discard, io.Discard); got != exitNoServer {
			t.Errorf("xds %q: exit status %d, want %d", args, got, exitNoServer)
		}
	}
}
