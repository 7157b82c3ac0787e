package preflight

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/waxwing-xds/waxwing/internal/module"
)

// keepBytes is how much of modules, in bytes of their files, is kept compiled:
// compiled, a module takes some twenty times that.
const keepBytes = 8 << 20

// programs keeps modules compiled, the last used, so that a change of only the
// configuration compiles nothing.
type programs struct {
	mu   sync.Mutex
	kept []*kept // the last used one last
}

type kept struct {
	digest  string
	size    int
	done    chan struct{} // closed when program and err are there
	program *program
	err     error
}

// get compiles a module, unless that was done. When the context ends it returns
// at once; the compiler can't be stopped, and what it makes is kept.
func (p *programs) get(ctx context.Context, m *module.Module) (*program, error) {
	k := p.find(ctx, m)
	select {
	case <-k.done:
		return k.program, k.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *programs) find(ctx context.Context, m *module.Module) *kept {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.kept, func(k *kept) bool { return k.digest == m.Digest })
	if i >= 0 {
		k := p.kept[i]
		p.kept = append(slices.Delete(p.kept, i, i+1), k)
		return k
	}
	k := &kept{digest: m.Digest, size: len(m.Bytes), done: make(chan struct{})}
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
		if k.program, k.err = compile(ctx, m.Bytes); k.err == nil {
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
