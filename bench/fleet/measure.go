package main

import (
	"context"
	"fmt"
	"os"
	"slices"
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
}

// measure prints the tables, each row when it is there.
func (o options) measure(ctx context.Context) error {
	fmt.Println(pushHeader)
	for _, k := range []kind{configuration, inlineModule} {
		for _, n := range o.sizes {
			if k == inlineModule && n > o.moduleMost {
				continue
			}
			if err := o.measureCase(ctx, k, n, false); err != nil {
				return fmt.Errorf("%s to %d: %w", k, n, err)
			}
		}
	}
	return nil
}

// sidesAtOnce is how many proxies a server may have for all servers to be up at
// once. With more, one at a time is up beside the floor: a machine of two cores
// has enough to do to keep 20,000 connections alive.
const sidesAtOnce = 1000

// measureCase has the servers take turns with n proxies each.
func (o options) measureCase(ctx context.Context, k kind, n int, split bool) error {
	sides := slices.DeleteFunc(slices.Clone(o.sides), func(side string) bool {
		return side == sideFloor || split && side == sideLinear // which gives all the same
	})
	floor, err := up(ctx, sideFloor, k, n, o)
	defer floor.down()
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, connectRow(floor))
	group := len(sides)
	if n > sidesAtOnce {
		group = 1
	}
	for some := range slices.Chunk(sides, max(group, 1)) {
		if err := o.measureBeside(ctx, floor, some, split); err != nil {
			return err
		}
	}
	fmt.Println(pushRow(floor, floor, split))
	return nil
}

// measureBeside measures some servers beside the floor.
func (o options) measureBeside(ctx context.Context, floor *contender, sides []string, split bool) error {
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
			return err
		}
		fmt.Fprintln(os.Stderr, connectRow(c))
	}
	floor.pushes = nil
	for _, c := range all {
		if err := c.startProfile(); err != nil {
			return err
		}
	}
	for i := range o.pushes + 1 {
		for j := range all {
			c := all[(i+j)%len(all)] // nobody always goes first
			p, err := c.push(split)
			if err != nil {
				return err
			}
			if i > 0 || o.pushes < 1 {
				c.pushes = append(c.pushes, p)
			}
		}
	}
	for _, c := range all[1:] {
		fmt.Println(pushRow(c, floor, split))
	}
	return nil
}
