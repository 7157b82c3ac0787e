package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// A change may take as long as a stage may, and a little more.
const (
	patience  = 6 * time.Minute
	lookEvery = 200 * time.Millisecond
)

// errRejected is that a change was not served, and is not going to be.
var errRejected = errors.New("not served")

// outcome waits for what comes of what was saved; its error says why that is not served, or what
// was held against it all the same.
func (w *world) outcome(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := rig.Until(ctx, func() error {
		pause(ctx, lookEvery)
		return w.isServed(ctx)
	})
	if alarms := w.alarms(context.WithoutCancel(ctx)); err == nil {
		return alarms
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (w *world) isServed(ctx context.Context) error {
	status, err := w.server.API.Status(ctx)
	if err != nil {
		return err
	}
	if len(status.Fleets) != 1 {
		return fmt.Errorf("%d fleets; %v", len(status.Fleets), status.Problems)
	}
	f := status.Fleets[0]
	if f.Disk.Content == w.content || f.Pending || f.Disk.State == api.DiskReading {
		return errors.New("what was saved is not read yet")
	}
	switch f.Disk.State { //nolint:exhaustive // the others are on their way
	case api.DiskServed:
	case api.DiskRefused, api.DiskRejected, api.DiskAborted, api.DiskUndone, api.DiskRetired:
		w.content = f.Disk.Content
		return rig.Never(fmt.Errorf("%w: %s: %s", errRejected, f.Disk.State, f.Disk.Why))
	default:
		return fmt.Errorf("it is %s: %+v", f.Disk.State, f.WaitsFor)
	}
	switch {
	case f.Proxies != len(w.proxies):
		return fmt.Errorf("%d proxies are connected", f.Proxies)
	case f.WaitsFor != nil:
		return fmt.Errorf("it is served, and waits: %s", f.WaitsFor.Text)
	case f.Asked != nil && strings.Contains(f.Asked.Reason, "fail on"):
		w.content = f.Disk.Content
		return rig.Never(fmt.Errorf("%w: %s", errRejected, f.Asked.Reason))
	}
	if err := w.answers(ctx); err != nil {
		return err
	}
	w.content = f.Disk.Content
	return nil
}

// answers is nil once each proxy answers by the module that was saved.
func (w *world) answers(ctx context.Context) error {
	want := fmt.Sprintf("%08d", w.now.Build)
	for _, p := range w.proxies {
		a, err := rig.Ask(ctx, p.ingress, "token", "32323")
		if got := a.Header.Get("x-build"); err == nil && (a.Status != http.StatusOK || got != want) {
			err = fmt.Errorf("it answers %d, by build %q", a.Status, got)
		}
		if err != nil {
			return fmt.Errorf("the proxy at %s: %w", p.ingress, err)
		}
	}
	return nil
}

// alarms is what the history has, since it was looked at last, against what is good.
func (w *world) alarms(ctx context.Context) error {
	entries, err := w.server.API.History(ctx, "edge")
	if err != nil {
		return err
	}
	var found []error
	for _, e := range entries {
		if !e.At.After(w.looked) {
			continue
		}
		w.looked = e.At
		switch e.Kind { //nolint:exhaustive // the others are no alarms
		case api.EventRejected, api.EventTakenBack, api.EventDegraded, api.EventRefusal:
			found = append(found, fmt.Errorf("%w: revision %d %s: %s", errRejected, e.Revision.Number, e.Kind, e.Reason))
		case api.EventBlipped, api.EventFailedBefore, api.EventProxyInTrouble, api.EventProxyLost, api.EventProxyRefusesGood:
			fmt.Printf("     (%s %s: %s)\n", e.Kind, e.Node, e.Reason)
		}
	}
	return errors.Join(found...)
}
