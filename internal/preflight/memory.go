package preflight

import (
	"context"

	"github.com/tetratelabs/wazero/experimental"
)

// memory counts what a VM holds: its linear memory, and what it makes the host
// keep for it (shared data, queues, headers, bodies).
type memory struct {
	limit  uint64 // bytes
	linear uint64
	kept   uint64
	over   bool // it was refused some
}

// with makes what is instantiated in a context take its linear memory from here.
// wazero's own limit would refuse to grow without a word.
func (m *memory) with(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(
		func(capacity, _ uint64) experimental.LinearMemory { return &linear{memory: m, initial: capacity} }))
}

// keep reports whether the host may keep so many bytes more.
func (m *memory) keep(n int) bool {
	if m.linear+m.kept+uint64(n) > m.limit {
		m.over = true
		return false
	}
	m.kept += uint64(n)
	return true
}

// linear is the linear memory of a VM.
type linear struct {
	*memory
	initial uint64
	bytes   []byte
}

// Reallocate implements experimental.LinearMemory.
func (l *linear) Reallocate(size uint64) []byte {
	if size+l.kept > l.limit {
		l.over = true
		return nil
	}
	if size > uint64(cap(l.bytes)) {
		// Half as much again, so that a page at a time does not copy everything each time.
		grown := make([]byte, size, min(max(size, l.initial, uint64(cap(l.bytes))*3/2), l.limit))
		copy(grown, l.bytes)
		l.bytes = grown
	}
	l.linear = size
	l.bytes = l.bytes[:size]
	return l.bytes
}

// Free implements experimental.LinearMemory.
func (l *linear) Free() { l.bytes = nil }
