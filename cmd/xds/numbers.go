package main

import (
	"fmt"
	"time"
)

// inRange refuses settings that are numbers which say nothing, or would be taken for another one:
// where nothing is given the default is there already.
func (s settings) inRange() error {
	if s.KeepRevisions < 1 {
		return usageError{fmt.Errorf("keep-revisions: %d is under 1: `xds rollout undo` needs the one before", s.KeepRevisions)}
	}
	for _, n := range []struct {
		name      string
		is, least int64
	}{
		{"max-module-bytes", s.MaxModuleBytes, 1},
		{"max-streams", int64(s.MaxStreams), 0},
		{"max-client-streams", int64(s.MaxClientStreams), 0},
		{"max-client-requests", int64(s.MaxClientRequests), 0},
		{"max-client-bytes", int64(s.MaxClientBytes), 0},
		{"max-kept-bytes", int64(s.MaxKeptBytes), 0},
		{"max-names", int64(s.MaxNames), 0},
		{"max-request-bytes", int64(s.MaxRequestBytes), 1},
		{"max-unmatched", int64(s.MaxUnmatched), 0},
		{"push-budget-bytes", int64(s.PushBudgetBytes), 0},
		{"preflight-memory", s.Limits.Memory, 1},
	} {
		if n.is < n.least {
			return usageError{fmt.Errorf("%s: %d is under %d", n.name, n.is, n.least)}
		}
	}
	for _, d := range []struct {
		name string
		is   time.Duration
		none bool // 0 is allowed
	}{
		{"settle", s.Settle, true}, {"settle-max", s.SettleMax, true}, {"push-timeout", s.PushTimeout, true},
		{"retire-grace", s.RetireGrace, false}, {"preflight-start", s.Limits.Start, false}, {"preflight-call", s.Limits.Call, false},
	} {
		if d.is < 0 || d.is == 0 && !d.none {
			return usageError{fmt.Errorf("%s: %s is not a time that can pass", d.name, d.is)}
		}
	}
	return nil
}
