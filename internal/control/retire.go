package control

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/rollout"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

var fleetVerbs = []rollout.Verb{api.VerbRetire, api.VerbForget}

// fleetCommand carries out what is to be done to a fleet itself.
func (c *Control) fleetCommand(command api.Command) error {
	s := c.fleets[command.Fleet]
	if s == nil {
		return &NoFleetError{command.Fleet}
	}
	if command.Verb == api.VerbForget {
		return c.forget(s, command)
	}
	if s.retired() && !s.returning() {
		return fmt.Errorf("%w: fleet %s is retired already", ErrRefused, s.name)
	}
	why := "by " + command.By
	if command.Why != "" {
		why += ": " + command.Why
	}
	c.retire(s, command.By, why)
	return nil
}

// forget deletes what there is of a fleet.
func (c *Control) forget(s *fleetState, command api.Command) error {
	if !s.retired() {
		return fmt.Errorf("%w: fleet %s is not retired (`xds fleet retire %s`)", ErrRefused, s.name, s.name)
	}
	if f, ok := c.fileOf(s.name); ok && f.Match != nil {
		return fmt.Errorf("%w: fleet %s has a file, %s: remove that first", ErrRefused, s.name, f.Path)
	}
	if run := c.running(s); len(run) > 0 {
		return fmt.Errorf("%w: %s run what fleet %s serves, and would be left with it for good: have another fleet's match claim them, or end them",
			ErrRefused, named(run), s.name)
	}
	delete(c.fleets, s.name)
	delete(c.problems, s.name)
	for id, away := range c.away {
		if away.home == s.name {
			delete(c.away, id)
		}
	}
	s.forgotten = true
	c.guestsAnew()
	c.erasing[s.key] = true
	c.delivery.Anew(s.key)
	// Its history goes with it: this is all that says who it was.
	c.Log.Info("a fleet is forgotten", "fleet", s.name, "by", command.By, "why", command.Why, "from", c.from)
	c.feed.put(api.Event{Kind: api.EventForgotten, Fleet: s.name, By: command.By, Message: command.Why, From: c.from})
	if !s.writing {
		c.erase(s)
	}
	return nil
}

// running are the connected proxies that run a revision of a fleet, and those that a
// rollout elsewhere would put back on one.
func (c *Control) running(s *fleetState) []string {
	run := map[string]bool{}
	for id, n := range c.nodes {
		if n.home == s.name || n.base.Fleet == s.key {
			run[id] = true
		}
	}
	for _, other := range c.fleets {
		if r := other.rollout.Rollout; r != nil {
			for id, base := range r.Bases {
				if snapshot.ParseRef(base).Fleet == s.key {
					run[id] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(run))
}

// erase removes a forgotten fleet from the state directory, the state first: without it
// nothing names the rest.
func (c *Control) erase(s *fleetState) {
	key := s.key
	c.writing.Go(func() {
		err := c.Store.Remove(fleetFileName(key))
		names, listErr := c.Store.List(revisionFolder(key))
		err = errors.Join(err, listErr)
		for _, name := range names {
			err = errors.Join(err, c.Store.Remove(revisionFolder(key)+"/"+name))
		}
		c.results.Put(func() {
			delete(c.erasing, key)
			if err != nil {
				c.Log.Error("something of a forgotten fleet stays in the state directory", "fleet", s.name, "error", err)
			}
		})
	})
}
