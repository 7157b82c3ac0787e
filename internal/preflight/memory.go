package preflight

import (
	"context"

	"github.com/tetratelabs/wazero/experimental"
)

// memory counts what a VM holds: its linear memory, what an instance of its module takes besides,
// and what it makes the host keep for it (shared data, queues, headers, bodies).
type memory struct {
	limit  uint64 // bytes
	fixed  uint64 // of tables, globals and functions: there from the start on
	linear uint64
	kept   uint64
	over   bool   // it was refused some
	what   string // what for, where that is none of its own
}

// What the host keeps for a VM takes more than the bytes that the module hands over: an entry of a
// map or of a list, and its strings' heads. In bytes, as measured of Go's maps and slices when they have
// just grown.
const (
	perEntry  = 128 // of a map: shared data, queues, metrics, properties
	perHeader = 80  // of a header map
	perDue    = 192 // of what is to come of a call
)

// with makes what is instantiated in a context take its linear memory from here.
// wazero's own limit would refuse to grow without a word.
func (m *memory) with(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(
		func(capacity, _ uint64) experimental.LinearMemory { return &linear{memory: m, initial: capacity} }))
}

// keep reports whether the host may keep so many bytes more, and of what.
func (m *memory) keep(n int, what string) bool {
	if m.held()+uint64(n) > m.limit {
		m.over, m.what = true, what
		return false
	}
	m.kept += uint64(n)
	return true
}

// held is how many bytes the VM has, and the host for it.
func (m *memory) held() uint64 { return m.fixed + m.linear + m.kept }

// linear is the linear memory of a VM.
type linear struct {
	*memory
	initial uint64
	bytes   []byte
}

// Reallocate implements experimental.LinearMemory.
func (l *linear) Reallocate(size uint64) []byte {
	if size+l.kept+l.fixed > l.limit {
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
