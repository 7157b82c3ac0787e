package chains

import (
	"slices"
)

// A Step is one save: the whole fleet, and what was changed.
type Step struct {
	What  string
	Fleet Fleet
}

// A Chain is saves one after another; the first is what is served at first.
type Chain struct {
	Delta bool // all proxies speak delta xDS
	Noise bool // proxies reconnect, and they and the server are restarted, meanwhile
	Seed  uint64
	Steps []Step
}

// NewChain makes a fleet and n changes.
func (g *Generator) NewChain(seed uint64, n int) Chain {
	c := Chain{Seed: seed, Delta: g.Delta, Steps: []Step{{"the first fleet", g.Fleet()}}}
	for len(c.Steps) <= n {
		c.Steps = append(c.Steps, g.next(c.Steps))
	}
	return c
}

// next makes a change of the last fleet, now and then several in one save, or goes
// back to one that was.
func (g *Generator) next(steps []Step) Step {
	last := steps[len(steps)-1].Fleet
	switch {
	case g.chance(4):
		return Step{"the same again", last.Clone()}
	case g.chance(6) && len(steps) > 1:
		return Step{"revert to an earlier state", steps[g.r.IntN(len(steps)-1)].Fleet.Clone()}
	}
	f, what := last.Clone(), ""
	for range 1 + g.r.IntN(12)/10 {
		name, changed := g.change(f)
		f = changed
		if what != "" {
			what += ", "
		}
		what += name
	}
	return Step{what, f}
}

// change makes one change, of the first kind at random that is possible.
func (g *Generator) change(f Fleet) (string, Fleet) {
	for {
		c := pick(g, changes)
		next := f.Clone()
		if !slices.Contains(g.Without, c.name) && c.do(g, &next) {
			next.Prune()
			if len(next.Listeners) > 0 {
				return c.name, next
			}
		}
	}
}
