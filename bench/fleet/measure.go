package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// options are the benchmark's settings.
type options struct {
	module     string
	profile    string
	pushes     int
	sizes      []int
	moduleMost int
	sides      []string
	whole      bool
	evidence   bool
	tls        bool

	certificates string // folder of certificates, for mutual TLS; "": plain text
}

// measure prints the tables, each row when it is there.
func (o options) measure(ctx context.Context) error {
	if o.pushes > 0 {
		if err := o.measureSides(ctx); err != nil {
			return err
		}
	}
	if o.tls {
		if err := o.measureTLS(ctx); err != nil {
			return fmt.Errorf("mutual TLS: %w", err)
		}
	}
	if o.whole {
		fmt.Printf("\n%s\n", wholeHeader)
		most := slices.Max(o.sizes)
		if err := o.withWhole(ctx, smallModule, most, (*whole).measure); err != nil {
			return fmt.Errorf("bin/xds with %d: %w", most, err)
		}
		most = min(most, o.moduleMost)
		if err := o.withWhole(ctx, inlineModule, most, (*whole).measure); err != nil {
			return fmt.Errorf("bin/xds with %d: %w", most, err)
		}
	}
	if o.evidence {
		fmt.Printf("\n%s\n", evidenceHeader)
		if err := o.withWhole(ctx, evidenceModule, slices.Max(o.sizes), (*whole).measureEvidence); err != nil {
			return fmt.Errorf("evidence: %w", err)
		}
	}
	return nil
}

// measureSides measures pushes, side by side.
func (o options) measureSides(ctx context.Context) error {
	var connects []string // rows of the second table
	fmt.Println(pushHeader)
	for _, k := range []kind{configuration, inlineModule} {
		for _, n := range o.sizes {
			if k == inlineModule && n > o.moduleMost {
				continue
			}
			for _, split := range []bool{false, true} {
				if split && n != sidesAtOnce {
					continue
				}
				rows, err := o.measureCase(ctx, k, n, split)
				if err != nil {
					return fmt.Errorf("%s to %d: %w", k, n, err)
				}
				if n >= sidesAtOnce && k == configuration && !split {
					connects = append(connects, rows...)
				}
			}
		}
	}
	fmt.Printf("\n%s\n%s\n", connectHeader, strings.Join(connects, "\n"))
	return nil
}

// sidesAtOnce is how many proxies a server may have for all servers to be up at
// once. With more, one at a time is up beside the floor: a machine of two cores
// has enough to do to keep 20,000 connections alive.
const sidesAtOnce = 1000

// fewPushes are enough there: each is the sum of ten times as many. Small pushes to
// fewer are over so soon that seven of them tell little: there are manyTimes as many.
const fewPushes, manyTimes = 3, 8

// measureCase has the servers take turns with n proxies each.
// It returns rows on how they connected.
func (o options) measureCase(ctx context.Context, k kind, n int, split bool) (rows []string, err error) {
	sides := slices.DeleteFunc(slices.Clone(o.sides), func(side string) bool {
		return side == sideFloor || split && side == sideLinear // which gives all the same
	})
	floor, err := up(ctx, sideFloor, k, n, o)
	defer floor.down()
	if err != nil {
		return nil, err
	}
	group := len(sides)
	if n > sidesAtOnce {
		group = 1
	}
	for some := range slices.Chunk(sides, max(group, 1)) {
		beside, err := o.measureBeside(ctx, floor, some, split)
		if err != nil {
			return nil, err
		}
		rows = append(rows, beside...)
	}
	fmt.Println(pushRow(floor, floor, split))
	return append(rows, connectRow(floor)), nil
}

// pushesOf is how many pushes count of those that a server's case has.
func (o options) pushesOf(c *contender) int {
	switch {
	case c.n > sidesAtOnce:
		return min(o.pushes, fewPushes)
	case c.kind == configuration:
		return manyTimes * o.pushes
	}
	return o.pushes
}

// measureBeside measures some servers beside the floor.
func (o options) measureBeside(ctx context.Context, floor *contender, sides []string, split bool) (rows []string, err error) {
	all := []*contender{floor}
	defer func() {
		for _, c := range all[1:] {
			c.down()
		}
	}()
	for _, side := range sides {
		c, err := up(ctx, side, floor.kind, floor.n, o)
		all = append(all, c)
		if err != nil {
			return nil, err
		}
		rows = append(rows, connectRow(c))
	}
	floor.pushes = nil
	for _, c := range all {
		if err := c.startProfile(); err != nil {
			return nil, err
		}
	}
	for i := range o.pushesOf(floor) + 1 {
		for j := range all {
			c := all[(i+j)%len(all)] // nobody always goes first
			p, err := c.push(split)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				c.pushes = append(c.pushes, p)
			}
		}
	}
	for _, c := range all[1:] {
		fmt.Println(pushRow(c, floor, split))
	}
	return rows, nil
}
