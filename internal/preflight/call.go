package preflight

import (
	"context"

	"github.com/tetratelabs/wazero/api"
)

// call is one call of a host function. Arguments are counted from 0.
type call struct {
	ctx    context.Context
	vm     *vm
	memory api.Memory
	stack  []uint64
}

func (c *call) u32(arg int) uint32 { return uint32(c.stack[arg]) }

// bytes are those that an argument points to and the next one counts: a view of
// the module's memory, which holds until the module runs again.
func (c *call) bytes(arg int) ([]byte, bool) {
	if c.memory == nil {
		return nil, false
	}
	return c.memory.Read(c.u32(arg), c.u32(arg+1))
}

// text is a copy of bytes.
func (c *call) text(arg int) (string, bool) {
	b, ok := c.bytes(arg)
	return string(b), ok
}

// put32 writes a number where an argument points to.
func (c *call) put32(arg int, value uint32) status {
	if c.memory == nil || !c.memory.WriteUint32Le(c.u32(arg), value) {
		return invalidMemoryAccess
	}
	return ok
}

func (c *call) put64(arg int, value uint64) status {
	if c.memory == nil || !c.memory.WriteUint64Le(c.u32(arg), value) {
		return invalidMemoryAccess
	}
	return ok
}

// give copies a value into memory that the module allocates for it, and writes
// its address and length where two arguments point to.
func (c *call) give(arg int, value []byte) status {
	address := uint32(0)
	if len(value) > 0 {
		var allocated bool
		if address, allocated = c.vm.allocate(c.ctx, len(value)); !allocated || !c.memory.Write(address, value) {
			return invalidMemoryAccess
		}
	}
	if result := c.put32(arg, address); result != ok {
		return result
	}
	return c.put32(arg+1, uint32(len(value)))
}

// allocate has the module allocate memory: WasmBase::allocMemory.
func (v *vm) allocate(ctx context.Context, size int) (address uint32, ok bool) {
	current, effective, restricted := v.current, v.effective, v.restricted
	v.current, v.effective, v.restricted = vmContext, 0, whileAllocating
	out, err := v.malloc.Call(ctx, uint64(size))
	v.current, v.effective, v.restricted = current, effective, restricted
	if err != nil {
		v.broken = err
		return 0, false
	}
	return uint32(out[0]), uint32(out[0]) != 0
}

// stream is the request that the call is about, nil if it is about none.
func (c *call) stream() *stream { return c.vm.streams[c.contextID()] }

// contextID is that of the current context, or of what was put in its place.
func (c *call) contextID() uint32 {
	if id := c.vm.effective; id != vmContext && c.vm.exists(id) {
		return id
	}
	return c.vm.current
}

func (v *vm) exists(id uint32) bool {
	return id == vmContext || id == rootContext || v.streams[id] != nil
}

func (c *call) setEffectiveContext() status {
	if !c.vm.exists(c.u32(0)) {
		return badArgument
	}
	c.vm.effective = c.u32(0)
	return ok
}

// Log levels of the ABI.
const (
	logLevel    = 2 // info, Envoy's default for what modules log
	maxLogLevel = 5
	maxLogBytes = 64 << 10 // of one message; what is longer is cut
)

func (c *call) log() status {
	if c.u32(0) > maxLogLevel {
		return badArgument
	}
	message, readable := c.bytes(1)
	if !readable {
		return invalidMemoryAccess
	}
	if c.u32(0) >= logLevel {
		c.vm.log.add(string(message[:min(len(message), maxLogBytes)]))
	}
	return ok
}

func (c *call) getConfiguration() status {
	if c.vm.configuring {
		return c.give(0, c.vm.configuration)
	}
	return c.give(0, c.vm.vmConfiguration)
}
