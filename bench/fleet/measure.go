package main

import (
	"context"
	"fmt"
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

// measureCase has the servers take turns with n proxies each.
func (o options) measureCase(ctx context.Context, k kind, n int, split bool) error {
	var all []*contender
	defer func() {
		for _, c := range all {
			c.down()
		}
	}()
	for _, side := range o.sides {
		if split && side == sideLinear {
			continue // it gives all the same
		}
		c, err := up(ctx, side, k, n, o)
		all = append(all, c)
		if err != nil {
			return err
		}
	}
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
			if i > 0 {
				c.pushes = append(c.pushes, p)
			}
		}
	}
	floor := slices.IndexFunc(all, func(c *contender) bool { return c.side == sideFloor })
	for _, c := range all {
		fmt.Println(pushRow(c, all[max(floor, 0)], split))
	}
	return nil
}
