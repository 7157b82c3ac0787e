package preflight

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/waxwing-xds/waxwing/internal/module"
)

// keepBytes is how much memory modules may have that are kept ready to run.
const keepBytes = 160 << 20

// programs keeps modules ready to run, the last used, by digest: a change of only the
// configuration makes nothing ready again.
type programs struct {
	mu   sync.Mutex
	kept []*kept // the last used one last
}

type kept struct {
	digest  string
	engine  engine
	size    int
	done    chan struct{} // closed when program and err are there
	program *program
	err     error
}

// get makes a module ready to run: interpreted, or compiled where that was wanted of it
// before.
func (p *programs) get(ctx context.Context, m *module.Module) (*program, error) {
	if k := p.ready(m); k != nil {
		return k.program, nil
	}
	return p.in(ctx, m, interpreted)
}

// ready finds a module that is compiled.
func (p *programs) ready(m *module.Module) *kept {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.use(m, compiled)
	if k == nil {
		return nil
	}
	select {
	case <-k.done:
		if k.err == nil {
			return k
		}
	default:
	}
	return nil
}

// in makes a module ready in an engine, unless that was done. When the context ends it returns
// at once; what is under way can't be stopped, and is kept.
func (p *programs) in(ctx context.Context, m *module.Module, e engine) (*program, error) {
	k := p.find(ctx, m, e)
	select {
	case <-k.done:
		if k.err == nil && e == compiled {
			p.forget(m, interpreted)
		}
		return k.program, k.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// use finds what is kept, which then was used last.
func (p *programs) use(m *module.Module, e engine) *kept {
	i := slices.IndexFunc(p.kept, func(k *kept) bool { return k.digest == m.Digest && k.engine == e })
	if i < 0 {
		return nil
	}
	k := p.kept[i]
	p.kept = append(slices.Delete(p.kept, i, i+1), k)
	return k
}

func (p *programs) forget(m *module.Module, e engine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = slices.DeleteFunc(p.kept, func(k *kept) bool { return k.digest == m.Digest && k.engine == e })
}

func (p *programs) find(ctx context.Context, m *module.Module, e engine) *kept {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.use(m, e); k != nil {
		return k
	}
	k := &kept{digest: m.Digest, engine: e, size: len(m.Bytes) * e.grows(), done: make(chan struct{})}
	p.kept = append(p.kept, k)
	p.drop()
	go func() {
		defer close(k.done)
		defer func() {
			if r := recover(); r != nil { // of wazero's, over bytes that anyone may have written
				k.err = fmt.Errorf("the compiler fails: %v", r)
			}
		}()
		ctx := context.WithoutCancel(ctx) // it outlives who asked first
		if k.program, k.err = compile(ctx, m.Bytes, e); k.err == nil {
			k.err = offer(ctx, k.program)
		}
	}()
	return k
}

// drop lets go of what was used longest ago.
func (p *programs) drop() {
	total := 0
	for i, k := range slices.Backward(p.kept) {
		if total += k.size; total > keepBytes && i < len(p.kept)-1 {
			p.kept = slices.Delete(p.kept, 0, i+1)
			return
		}
	}
}
