package build

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/signed"
)

// besideFile is a signature, a key file or a trusted root as it is now. Most signatures that are
// looked for do not exist: a module has one of two.
type besideFile struct {
	signed.File

	read  bool // once
	saved moments
}

// rulesOf are those that a filter's module must keep, all of them: what a fleet's author says does
// not loosen what the operator does.
func (m *Maker) rulesOf(filter fleet.Filter) (rules []*fleet.Verify) {
	for _, rule := range []*fleet.Verify{m.Verify, filter.Verify} {
		if rule != nil {
			rules = append(rules, rule)
		}
	}
	return rules
}

// Beside are the paths of what is read to verify the modules of a fleet, none where no rule is there.
func (m *Maker) Beside(f *fleet.Fleet) (paths []string) {
	for _, filter := range f.Filters {
		for _, rule := range m.rulesOf(filter) {
			paths = append(append(paths, signed.Beside(filter.Module)...), rule.Files()...)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Verified says why a filter's module may not be served, nil where it may: at the line of the fleet
// file that names it, one for each rule that it does not keep.
func (m *Maker) Verified(ctx context.Context, f *fleet.Fleet, filter fleet.Filter, code *module.Module, beside signed.Files) error {
	var wrong []error
	for _, rule := range m.rulesOf(filter) {
		key := nameOf(string(verified), rule.Place, signed.Key(rule, filter.Module, code, beside)) // an error has the place
		_, err := once(ctx, &m.memo, shelf{kind: verified}, key, func(context.Context) (struct{}, error) {
			return struct{}{}, signed.Verify(rule, filter.Module, code, beside)
		})
		if ctx.Err() != nil {
			return fmt.Errorf("verifying %s: %w", filter.Module, ctx.Err())
		}
		if err != nil {
			wrong = append(wrong, &fleet.Error{File: f.File, Line: filter.ModuleLine, Msg: err.Error()})
		}
	}
	return errors.Join(wrong...)
}

// verifyAll says which modules of a fleet may not be served, and where the file has code that is no
// module, and that nobody can have signed.
func (m *Maker) verifyAll(ctx context.Context, f *fleet.Fleet, modules map[string]*module.Module, beside signed.Files) error {
	var wrong []error
	for _, filter := range f.Filters {
		if err := m.Verified(ctx, f, filter, modules[filter.Module], beside); ctx.Err() != nil {
			return err
		} else if err != nil {
			wrong = append(wrong, err)
		}
	}
	for _, rule := range []*fleet.Verify{m.Verify, f.Verify} {
		for _, line := range f.Code {
			if rule != nil {
				wrong = append(wrong, &fleet.Error{File: f.File, Line: line, Msg: fmt.Sprintf(
					"Wasm code among the resources is refused by verify of %s: it has no signature. List it under filters, with its module", rule.Place)})
			}
		}
	}
	return errors.Join(wrong...)
}

// besideOf is what there is to verify the modules of a fleet by; ok is false while some of it was
// not read yet.
func (f *Files) besideOf(c *Content) (files signed.Files, ok bool) {
	files = signed.Files{}
	for _, path := range c.beside {
		b := f.beside[path]
		if b == nil || !b.read {
			return nil, false
		}
		files[path] = b.File
	}
	return files, true
}
