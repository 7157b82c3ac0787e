package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// savedFleet is what survives of a fleet.
type savedFleet struct {
	Match   fleet.Match   `json:"match"`
	Rollout rollout.Fleet `json:"rollout"`
}

func fleetFileName(name string) string     { return "fleets/" + name + ".json" }
func revisionFolder(fleet string) string   { return "revisions/" + fleet }
func revisionFile(fleet, id string) string { return revisionFolder(fleet) + "/" + id + ".pb" }

// restore reads what an earlier server saved: until what is on disk has been
// read, and if that is bad for as long as it is, the last good revision is served.
func (c *Control) restore() error {
	names, err := c.Store.List("fleets")
	if err != nil {
		return err
	}
	for _, file := range names {
		name := strings.TrimSuffix(file, ".json")
		data, err := c.Store.Load(fleetFileName(name))
		if err != nil {
			return err
		}
		var saved savedFleet
		if err := json.Unmarshal(data, &saved); err != nil {
			return fmt.Errorf("fleet %q: %w", name, err)
		}
		s := c.fleet(name)
		s.match, s.rollout = saved.Match, saved.Rollout
		if id := s.rollout.Serving.ID; id != "" {
			if err := c.load(s, id); err != nil {
				return err
			}
			c.Log.Info("restored", "fleet", name, "revision", s.rollout.Serving.Number, "id", id)
		}
	}
	return nil
}

func (c *Control) load(s *fleetState, id string) error {
	data, err := c.Store.Load(revisionFile(s.name, id))
	if err != nil {
		return fmt.Errorf("fleet %q: %w", s.name, err)
	}
	snap, err := snapshot.Decode(s.name, data)
	if err != nil {
		return err
	}
	s.snapshots[id] = snap
	return nil
}

func (c *Control) save(s *fleetState) {
	data, err := json.MarshalIndent(savedFleet{Match: s.match, Rollout: s.rollout}, "", "  ")
	if err == nil {
		err = c.Store.Save(fleetFileName(s.name), data)
	}
	if err != nil {
		c.Log.Error("the state is not saved: a restart goes back to what was saved last", "fleet", s.name, "error", err)
		return
	}
	if s.building {
		return // its revision may be in the folder already
	}
	var keep []string
	for _, r := range []rollout.Revision{s.rollout.Serving, s.rollout.Candidate} {
		if r.ID != "" {
			keep = append(keep, r.ID+".pb")
		}
	}
	if err := c.Store.Prune(revisionFolder(s.name), keep...); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Log.Warn("old revisions stay in the state directory", "fleet", s.name, "error", err)
	}
}
