package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// storedFleet is what survives of a fleet. snapshot.Format says how it may change.
type storedFleet struct {
	Format int          `json:"format"`
	Name   string       `json:"name,omitempty"` // "": that of its file
	Match  fleet.Match  `json:"match"`          // in force
	Moving *fleet.Match `json:"moving_match,omitempty"`
	// Declined is a match that was not taken into force, while it is on disk.
	Declined *Declined              `json:"declined_match,omitempty"`
	Matches  map[string]fleet.Match `json:"matches,omitempty"` // by ID of the revision
	Guests   map[string]time.Time   `json:"guests,omitempty"`  // by node; see homes.go
	Runs     map[string]string      `json:"runs,omitempty"`    // by node: what guests run that is not what it serves
	File     string                 `json:"file,omitempty"`    // its path
	Renamed  time.Time              `json:"renamed,omitzero"`  // last
	Retired  *Retirement            `json:"retired,omitempty"`
	Rollout  rollout.Fleet          `json:"rollout"`
}

// State is kept by a fleet's key, which is the name that it had first: one that is renamed
// has its revisions where they were, and the one write that names it anew is all there is
// to do.
func fleetFileName(key string) string    { return "fleets/" + key + ".json" }
func revisionFolder(key string) string   { return "revisions/" + key }
func revisionFile(key, id string) string { return revisionFolder(key) + "/" + id + ".pb" }

// readFleet reads a fleet's state, of this format or an older one.
func readFleet(data []byte) (storedFleet, error) {
	format, err := snapshot.FormatOf(data)
	if err != nil {
		return storedFleet{}, err
	}
	var stored storedFleet
	if err := json.Unmarshal(data, &stored); err != nil {
		return storedFleet{}, err
	}
	if format == 0 {
		var old struct{ Match json.RawMessage }
		if err := json.Unmarshal(data, &old); err != nil {
			return storedFleet{}, err
		}
		if stored.Match, err = snapshot.ReadMatch0(old.Match); err != nil {
			return storedFleet{}, fmt.Errorf("match: %w", err)
		}
	}
	if err := stored.Rollout.Restored(); err != nil {
		return storedFleet{}, err
	}
	return stored, nil
}

// restore reads what an earlier server saved: until what is on disk has been
// read, and if that is bad for as long as it is, the last good revision is
// served. What of it is damaged is said and put aside, and the server goes on
// without. What a newer server has written is not touched: it is no damage, and
// to go on without it would be to forget it.
func (c *Control) restore() error {
	names, err := c.Store.List("fleets")
	if err != nil {
		return err
	}
	if err := c.newer(names); err != nil {
		return err
	}
	for _, file := range names {
		name, isState := strings.CutSuffix(file, ".json")
		if !isState {
			continue
		}
		err := c.restoreFleet(name)
		if newer := (*snapshot.NewerFormatError)(nil); errors.As(err, &newer) {
			return err
		}
		if err != nil {
			c.Log.Error("a part of the last state of a fleet can't be read: it goes on without", "fleet", name, "error", err)
		}
	}
	for _, s := range c.fleets {
		c.restoreBases(s)
	}
	c.before = c.claimsInForce()
	return nil
}

// newer looks for what a newer server has written, before anything is put aside.
func (c *Control) newer(files []string) error {
	for _, file := range files {
		data, err := c.Store.Load("fleets/" + file)
		if err != nil {
			continue // restoreFleet says so
		}
		_, err = snapshot.FormatOf(data)
		if newer := (*snapshot.NewerFormatError)(nil); errors.As(err, &newer) {
			return c.damaged("fleets/"+file, err)
		}
	}
	return nil
}

// restoreBases reads what proxies run that are on their way to a fleet. One of which that
// can't be read is not of the rollout any more.
func (c *Control) restoreBases(s *fleetState) {
	r := s.rollout.Rollout
	if r == nil {
		return
	}
	for node, base := range maps.Clone(r.Bases) {
		runs := snapshot.ParseRef(base)
		from := c.keyed(runs.Fleet)
		err := fmt.Errorf("there is no fleet with the key %q", runs.Fleet)
		if from != nil {
			err = c.restoreRevision(from, runs.ID)
		}
		if err != nil {
			c.Log.Error("what a proxy runs can't be read: it is not moved", "fleet", s.name, "node", node, "error", err)
			c.step(s, rollout.Left{Node: node, Moved: true})
		}
	}
}

// restoreKeeps reads what proxies of a fleet run that no match claims. Where that can't be
// read they are sent nothing, and so keep it.
func (c *Control) restoreKeeps(s *fleetState) error {
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(s.guests)) {
		if runs := s.guests[id].runs; runs.Fleet == s.key {
			if err := c.restoreRevision(s, runs.ID); err != nil {
				errs = append(errs, fmt.Errorf("what proxy %s runs, and keeps: %w", id, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (c *Control) restoreFleet(key string) error {
	data, err := c.Store.Load(fleetFileName(key))
	if err != nil {
		return err
	}
	stored, err := readFleet(data)
	if err != nil {
		return c.damaged(fleetFileName(key), err)
	}
	name := c.nameOf(stored, key)
	s := c.fleet(name)
	s.key, s.match, s.moving, s.declined, s.rollout = key, stored.Match, stored.Moving, stored.Declined, stored.Rollout
	c.equip(s)
	maps.Copy(s.matches, stored.Matches)
	for id, since := range stored.Guests {
		runs := snapshot.ParseRef(stored.Runs[id])
		if runs.ID != "" && runs.Fleet == "" { // a damaged name: it is looked for, and nothing is sent where it is not there
			runs.Fleet = key
		}
		s.guests[id] = guest{since: since, runs: runs}
	}
	s.file, s.retirement, s.renamed = stored.File, stored.Retired, stored.Renamed
	if s.retirement == nil || s.returning() {
		s.gone = c.began // until its file is read
		c.wake(s.gone.Add(c.Grace))
	}
	// What can't be read is gone, and the rest goes on without.
	errs := []error{c.restoreRevision(s, s.rollout.Serving.ID), c.restoreKept(s), c.restoreRevision(s, s.candidate().ID)}
	for _, id := range s.rollout.Held() {
		of, _ := snapshot.IsClosed(id)
		if err := c.restoreRevision(s, of); err != nil {
			errs = append(errs, fmt.Errorf("listeners that were opened for it stay as they are: %w", err))
		}
	}
	errs = append(errs, c.restoreKeeps(s))
	if errs[0] != nil {
		s.rollout.Serving = rollout.Revision{}
	}
	if errs[2] != nil {
		s.rollout.Rollout = nil // it is built anew of what is on disk
	}
	errs = append(errs, c.leftovers(s))
	if candidate := s.candidate(); candidate.ID != "" {
		c.step(s, rollout.Stored{ID: candidate.ID})
		c.Log.Info("goes on with a rollout", "fleet", name, "revision", candidate.Number, "id", candidate.ID, "stage", s.rollout.Rollout.Stage+1)
	}
	c.countNamed()
	c.sayServing(s)
	c.Log.Info("restored", "fleet", name, "revision", s.rollout.Serving.Number, "id", s.rollout.Serving.ID)
	return errors.Join(errs...)
}

func (c *Control) restoreRevision(s *fleetState, id string) error {
	if id == "" || s.snapshots[id] != nil {
		return nil
	}
	data, err := c.Store.Load(revisionFile(s.key, id))
	if err != nil {
		return err
	}
	snap, err := snapshot.Decode(s.name, data)
	if err != nil {
		return c.damaged(revisionFile(s.key, id), err)
	}
	s.snapshots[id], s.storing[id] = snap, false
	c.delivery.Remember(snap)
	return nil
}

// damaged puts a file aside that can't be read, for a person to look at: it would
// be replaced else.
func (c *Control) damaged(file string, why error) error {
	why = fmt.Errorf("%s: %w", file, why)
	if newer := (*snapshot.NewerFormatError)(nil); errors.As(why, &newer) {
		return fmt.Errorf("%w; nothing of the state directory is changed (run that server, or give this one another folder by --state)", why)
	}
	aside, err := c.Store.SetAside(file)
	if errors.Is(err, fs.ErrNotExist) {
		return why
	}
	if err != nil {
		return errors.Join(why, err)
	}
	return fmt.Errorf("%w (it is kept as %s)", why, aside)
}

// leftovers are the revisions on disk that the state does not name: of a crash
// before it did, or before they were removed.
func (c *Control) leftovers(s *fleetState) error {
	names, err := c.Store.List(revisionFolder(s.key))
	for _, name := range names {
		id, isRevision := strings.CutSuffix(name, ".pb")
		if _, known := s.storing[id]; isRevision && !known {
			s.leftover = append(s.leftover, id)
		}
	}
	return err
}
