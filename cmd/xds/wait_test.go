package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// script is a server as --wait sees it: what it says, look by look, the last again and again.
type script struct {
	looks []look
	next  int
}

type look struct {
	status api.Status
	err    error
}

func says(f api.Fleet) look {
	f.Fleet = "edge"
	return look{status: api.Status{Fleets: []api.Fleet{f}}}
}

func disk(state api.DiskState, content string, proxies int) api.Fleet {
	return api.Fleet{Proxies: proxies, Disk: api.Disk{State: state, Content: content, Why: "because of this save"}}
}

func held(kind api.WaitKind, proxies int) look {
	f := disk(api.DiskTried, "new", proxies)
	f.WaitsFor = &api.Wait{Kind: kind, Text: "it waits: " + string(kind)}
	return says(f)
}

// inTrouble is what is served while some of three proxies have trouble of their own.
func inTrouble(n int, tooMany bool) look {
	f := disk(api.DiskServed, "new", 3)
	f.Troubled = &api.Troubled{Count: n, TooMany: tooMany, Text: "can't take it: a, tried again in 4s: its port is in use"}
	return says(f)
}

var full = look{err: fmt.Errorf("xds at here: %w", api.NewError(api.CodeUnavailable, "too many connections are open"))}

var down = look{err: &api.NoServerError{Err: errors.New("it is down")}}

// altered is what is served, or whatever a fleet's disk has come to, with something more.
func altered(f api.Fleet, how func(*api.Fleet)) look {
	how(&f)
	return says(f)
}

var (
	unread          = look{status: api.Status{Unsettled: true}}
	reading, served = says(disk(api.DiskReading, "", 1)), says(disk(api.DiskServed, "new", 1))
	older           = altered(disk(api.DiskServed, "new", 1), func(f *api.Fleet) { f.Rejected = []api.Rejection{{Reason: "an older one"}} })
	asking          = altered(disk(api.DiskServed, "new", 1), func(f *api.Fleet) { f.WaitsFor = &api.Wait{Kind: api.WaitAsking} })
	retiredByAnn    = altered(disk(api.DiskRetired, "new", 1), func(f *api.Fleet) { f.Disk.Why = "fleet edge is retired since noon by ann" })
	retiredGone     = altered(disk(api.DiskNothing, "", 1), func(f *api.Fleet) {
		f.Disk.Why, f.Retired = "fleet edge is retired since noon, and its file edge.yaml is gone", &api.Retirement{}
	})
	fileless  = altered(disk(api.DiskNothing, "", 1), func(f *api.Fleet) { f.Disk.Why = "its file edge.yaml is gone" })
	elsewhere = altered(disk(api.DiskServed, "new", 0), func(f *api.Fleet) { f.Notices = []string{"edge.yaml:2: no connected proxy matches it"} })
	matching  = altered(disk(api.DiskTried, "new", 1), func(f *api.Fleet) { f.Disk.Why = "its match is not in force yet" })
)

var waits = []struct {
	name    string
	timeout time.Duration
	looks   []look
	status  int
	holds   string
	within  time.Duration
}{
	{"served", 0, []look{served}, exitOK, "", time.Second},
	{"served, and an older one was rejected", 0, []look{older}, exitOK, "", time.Second},
	{"read, tried, served", 0, []look{reading, reading, held(api.WaitWarming, 1), served}, exitOK, "", 2 * time.Second},
	{"noticed a moment later", 0, []look{says(disk(api.DiskServed, "old", 1)), reading, served}, exitOK, "", time.Second},
	{"the first fleet of a new server", 0, []look{unread, unread, served}, exitOK, "", time.Second},
	{"served, when its checks were asked", 0, []look{asking, asking, asking, served}, exitOK, "", time.Second},
	{"served, and its checks are asked still", time.Second, []look{asking}, exitOK, "", 2 * time.Second},
	{"served, but for one in trouble", 0, []look{inTrouble(1, false)}, exitOK, "", time.Second},
	{"too many in trouble", 5 * time.Second, []look{inTrouble(2, true)}, exitTimeout, "its port is in use", 6 * time.Second},
	{"too many in trouble, and then not", 0, []look{inTrouble(3, true), inTrouble(2, true), inTrouble(1, false)}, exitOK, "", time.Second},
	{"refused", 0, []look{reading, says(disk(api.DiskRefused, "new", 1))}, exitRejected, "because of this save", time.Second},
	{"rejected", 0, []look{held(api.WaitProving, 1), held(api.WaitProving, 1), says(disk(api.DiskRejected, "new", 1))}, exitRejected, "because of this save", time.Second},
	{"aborted", 0, []look{says(disk(api.DiskAborted, "new", 1))}, exitRejected, "aborted", time.Second},
	{"undone", 0, []look{says(disk(api.DiskUndone, "new", 1))}, exitRejected, "undone", time.Second},
	{"timed out", 5 * time.Second, []look{held(api.WaitBaking, 1)}, exitTimeout, "baking", 6 * time.Second},
	{"timed out in the sandbox", 5 * time.Second, []look{reading}, exitTimeout, "being read", 6 * time.Second},
	{"to be approved", 5 * time.Second, []look{held(api.WaitApproval, 1)}, exitPerson, "awaiting approval", 6 * time.Second},
	{"paused", 5 * time.Second, []look{held(api.WaitPaused, 1)}, exitPerson, "paused", 6 * time.Second},
	{"approved in time", 5 * time.Second, []look{held(api.WaitApproval, 1), held(api.WaitApproval, 1), served}, exitOK, "", time.Second},
	{"no server", 5 * time.Second, []look{down}, exitNoServer, "no xds answers", 6 * time.Second},
	{"no server, and no timeout", 0, []look{down}, exitNoServer, "no xds answers", 31 * time.Second},
	{"too many ask", 5 * time.Second, []look{full}, exitNoServer, "too many connections", 6 * time.Second},
	{"too many ask for a moment", 5 * time.Second, []look{full, full, held(api.WaitWarming, 1), full, served}, exitOK, "", 2 * time.Second},
	{"restarted meanwhile", 0, []look{held(api.WaitWarming, 1), held(api.WaitWarming, 1), down, down, unread, reading, held(api.WaitNoProxy, 0), held(api.WaitWarming, 1), served}, exitOK, "", 3 * time.Second},
	{"nobody", 5 * time.Second, []look{held(api.WaitNoProxy, 0)}, exitNobody, "no proxy", 6 * time.Second},
	{"nobody, and no timeout", 0, []look{held(api.WaitNoProxy, 0)}, exitNobody, "no proxy", 16 * time.Second},
	{"served to nobody", 0, []look{says(disk(api.DiskServed, "new", 0))}, exitNobody, "no proxy", 16 * time.Second},
	{"served to nobody, until one comes", 0, []look{says(disk(api.DiskServed, "new", 0)), says(disk(api.DiskServed, "new", 0)), served}, exitOK, "", time.Second},
	{"replaced", 0, []look{held(api.WaitWarming, 1), held(api.WaitWarming, 1), says(disk(api.DiskServed, "newer", 1))}, exitReplaced, "a newer save", time.Second},
	{"retired", 0, []look{retiredByAnn}, exitNobody, "not served: fleet edge is retired since noon by ann", time.Second},
	{"retired meanwhile", time.Minute, []look{held(api.WaitWarming, 1), held(api.WaitWarming, 1), retiredByAnn}, exitNobody, "retired since noon by ann", time.Second},
	{"retired, and without a file", time.Minute, []look{retiredGone}, exitNobody, "its file edge.yaml is gone", time.Second},
	{"its file is removed", time.Minute, []look{held(api.WaitWarming, 1), held(api.WaitWarming, 1), fileless}, exitFailed, "its file edge.yaml is gone", time.Second},
	{"served to nobody, and why", 0, []look{elsewhere}, exitNobody, "edge.yaml:2: no connected proxy matches it", 16 * time.Second},
	{"its match is not in force", 5 * time.Second, []look{matching}, exitTimeout, "its match is not in force yet", 6 * time.Second},
	{"all of a stage in trouble", 5 * time.Second, []look{held(api.WaitTrouble, 1)}, exitTimeout, "in trouble", 6 * time.Second},
	{"its service is waited for", 5 * time.Second, []look{held(api.WaitService, 1)}, exitTimeout, "awaiting service", 6 * time.Second},
	{"nobody of the stage", 5 * time.Second, []look{held(api.WaitEmpty, 1)}, exitTimeout, "empty stage", 6 * time.Second},
	{"the disk takes nothing", 5 * time.Second, []look{held(api.WaitDisk, 1)}, exitTimeout, "disk", 6 * time.Second},
	{"another fleet has its proxies", 5 * time.Second, []look{held(api.WaitElsewhere, 1)}, exitTimeout, "held elsewhere", 6 * time.Second},
	{"no such fleet", 0, []look{{status: api.Status{}}}, exitFailed, "there is no fleet", time.Second},
	{"a fleet that can't be read", 0, []look{{status: api.Status{Problems: map[string]string{"x.yaml": "x.yaml:3: no"}}}}, exitRejected, "x.yaml:3: no", time.Second},
}

// Each end of --wait has an exit status of its own, and says why.
func TestWait(t *testing.T) {
	for _, c := range waits {
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

func (s *script) ask(context.Context) (api.Status, error) {
	l := s.looks[min(s.next, len(s.looks)-1)]
	s.next++
	return l.status, l.err
}

// What proxies can't take is said, by --wait once, and where a rollout is.
func TestTroubleIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fleet, timeout, said := "", 2*time.Second, strings.Builder{}
		s := &script{looks: []look{inTrouble(1, true), inTrouble(2, true)}}
		w := waiter{flags: rolloutFlags{fleet: &fleet, timeout: &timeout}, ask: s.ask, said: &said, began: time.Now()}
		if f, err := w.wait(t.Context()); statusOf(err) != exitTimeout || f.Troubled == nil {
			t.Errorf("%+v, %v", f, err)
		}
		if got := strings.Count(said.String(), "trouble: can't take it: a"); got != 1 { // the first look decides nothing
			t.Errorf("it is said %d times: %q", got, said.String())
		}
	})
	f := inTrouble(1, false).status.Fleets[0]
	f.Degraded = &api.Degraded{Evidence: "crashed VMs", Node: "b", Reason: "1 VM"}
	var out strings.Builder
	if err := printRollout(&out, f, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"trouble   can't take it: a, tried again in 4s: its port is in use\n", "degraded  since", "by b: revision -: crashed VMs: 1 VM\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
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
