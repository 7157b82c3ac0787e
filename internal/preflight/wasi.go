package preflight

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
)

// WASI as Envoy has it, which is not quite WASI: proc_exit returns, poll_oneoff
// does not wait, and what a program prints is logged. A module that ends itself
// therefore goes on with whatever follows, here as there.
// Source: src/exports.cc of proxy-wasm-cpp-host.

const (
	wasiBadFile      status = 8
	wasiFault        status = 21
	wasiInvalid      status = 28
	wasiNoEntry      status = 44
	wasiNoSys        status = 52
	wasiNotDirectory status = 20
	wasiNotSupported status = 58
	wasiNotCapable   status = 76
)

const (
	stdout    = 1
	stderr    = 2
	maxRandom = 64 << 10
)

// wasiFunctions are offered as wasi_snapshot_preview1 and as wasi_unstable.
var wasiFunctions = map[string]hostFunction{
	"args_get":          {params: "ii", do: always(ok)},
	"args_sizes_get":    {params: "ii", do: func(c *call) status { return c.wasi(c.put32(0, 0), c.put32(1, 0)) }},
	"environ_get":       {params: "ii", do: (*call).environGet},
	"environ_sizes_get": {params: "ii", do: (*call).environSizes},
	"clock_res_get":     {params: "ii", do: func(c *call) status { return c.clock(1, func() uint64 { return 1 }) }},
	"clock_time_get":    {params: "iIi", do: func(c *call) status { return c.clock(2, func() uint64 { return uint64(c.vm.now().UnixNano()) }) }},
	"random_get":        {params: "ii", do: (*call).random},
	"sched_yield":       {do: always(ok)},
	"poll_oneoff":       {params: "iiii", do: func(c *call) status { return c.wasi(c.put32(3, 0)) }},
	"proc_exit":         {params: "i", void: true, do: always(ok)},

	"fd_write":              {params: "iiii", do: func(c *call) status { return c.write(3) }},
	"fd_pwrite":             {params: "iiiIi", do: func(c *call) status { return c.write(4) }},
	"fd_read":               {params: "iiii", do: always(wasiNoSys)},
	"fd_pread":              {params: "iiiIi", do: always(wasiNoSys)},
	"fd_seek":               {params: "iIii", do: always(ok)},
	"fd_tell":               {params: "ii", do: onOutput(func(c *call) status { return c.wasi(c.put64(1, 0)) })},
	"fd_close":              {params: "i", do: always(ok)},
	"fd_fdstat_get":         {params: "ii", do: onOutput((*call).fdstat)},
	"fd_fdstat_set_flags":   {params: "ii", do: always(wasiNoSys)},
	"fd_fdstat_set_rights":  {params: "iII", do: onOutput(always(ok))},
	"fd_filestat_get":       {params: "ii", do: always(wasiBadFile)},
	"fd_filestat_set_size":  {params: "iI", do: onOutput(always(ok))},
	"fd_filestat_set_times": {params: "iIIi", do: onOutput(always(ok))},
	"fd_prestat_get":        {params: "ii", do: always(wasiBadFile)},
	"fd_prestat_dir_name":   {params: "iii", do: always(wasiNoSys)},
	"fd_advise":             {params: "iIIi", do: always(ok)},
	"fd_allocate":           {params: "iII", do: onOutput(always(ok))},
	"fd_datasync":           {params: "i", do: onOutput(always(ok))},
	"fd_sync":               {params: "i", do: onOutput(always(ok))},
	"fd_readdir":            {params: "iiiIi", do: zeroing(4, wasiNotDirectory)},
	"fd_renumber":           {params: "ii", do: onOutput(always(wasiNotSupported))},

	"path_open":               {params: "iiiiiIIii", do: always(wasiNoEntry)},
	"path_filestat_get":       {params: "iiiii", do: always(wasiNotSupported)},
	"path_create_directory":   {params: "iii", do: always(wasiNotSupported)},
	"path_filestat_set_times": {params: "iiiiIIi", do: always(wasiNotSupported)},
	"path_link":               {params: "iiiiii", do: always(wasiNotSupported)},
	"path_readlink":           {params: "iiiiii", do: zeroing(5, wasiNotSupported)},
	"path_remove_directory":   {params: "iii", do: always(wasiNotSupported)},
	"path_rename":             {params: "iiiiii", do: always(wasiNotSupported)},
	"path_symlink":            {params: "iiii", do: always(wasiNotSupported)},
	"path_unlink_file":        {params: "iii", do: always(wasiNotSupported)},
	"sock_accept":             {params: "iii", do: zeroing(2, wasiNotSupported)},
	"sock_recv":               {params: "iiiiii", do: zeroing(4, wasiNotSupported)},
	"sock_send":               {params: "iiiii", do: zeroing(4, wasiNotSupported)},
	"sock_shutdown":           {params: "ii", do: always(wasiNotSupported)},
}

// beforeStart are the functions that a module may call before proxy_on_vm_start:
// WasmBase::startVm. whileAllocating are those for its malloc.
var (
	beforeStart     = restriction("emscripten_notify_memory_growth proxy_log", "fd_read fd_seek fd_close path_open proc_exit sched_yield")
	whileAllocating = map[string]bool{"proxy_log": true, "fd_write": true, "clock_time_get": true, "poll_oneoff": true}
)

// restriction allows some of Envoy's functions, and all of WASI's but some.
func restriction(names, butNot string) map[string]bool {
	out := map[string]bool{}
	for name := range wasiFunctions {
		out[name] = true
	}
	for _, name := range strings.Fields(butNot) {
		delete(out, name)
	}
	for _, name := range strings.Fields(names) {
		out[name] = true
	}
	return out
}

func always(s status) func(*call) status { return func(*call) status { return s } }

// onOutput refuses all files but standard output and error.
func onOutput(do func(*call) status) func(*call) status {
	return func(c *call) status {
		if c.u32(0) != stdout && c.u32(0) != stderr {
			return wasiBadFile
		}
		return do(c)
	}
}

// zeroing writes 0 where an argument points to, and then fails.
func zeroing(arg int, s status) func(*call) status {
	return func(c *call) status {
		if c.put32(arg, 0) != ok {
			return wasiFault
		}
		return s
	}
}

// wasi turns results of the ABI into WASI's.
func (c *call) wasi(results ...status) status {
	for _, r := range results {
		if r != ok {
			return wasiFault
		}
	}
	return ok
}

func (c *call) clock(arg int, value func() uint64) status {
	if c.u32(0) > 1 { // neither the real-time nor the monotonic clock
		return wasiNotSupported
	}
	return c.wasi(c.put64(arg, value()))
}

func (c *call) random() status {
	into, readable := c.bytes(0)
	switch {
	case c.u32(1) > maxRandom:
		return wasiInvalid
	case !readable:
		return wasiFault
	}
	_, _ = rand.Read(into) // never fails
	return ok
}

// write logs what is printed.
func (c *call) write(countArg int) status {
	if c.u32(0) != stdout && c.u32(0) != stderr {
		return wasiBadFile
	}
	written := uint32(0)
	for i := range c.u32(2) {
		if c.ctx.Err() != nil { // it has had its time
			return wasiFault
		}
		vector, ok1 := c.memory.Read(c.u32(1)+8*i, 8)
		if !ok1 {
			return wasiFault
		}
		piece, ok2 := c.memory.Read(binary.LittleEndian.Uint32(vector), binary.LittleEndian.Uint32(vector[4:]))
		if !ok2 {
			return wasiFault
		}
		written += uint32(len(piece))
		c.vm.log.write(string(piece[:min(len(piece), maxLogBytes)]))
	}
	return c.wasi(c.put32(countArg, written))
}

func (c *call) fdstat() status {
	const rightToWrite = 64
	if c.memory == nil || !c.memory.Write(c.u32(1), make([]byte, 24)) || !c.memory.WriteByte(c.u32(1)+8, rightToWrite) {
		return ok // Envoy does not look
	}
	return ok
}

func (c *call) environSizes() status {
	size := 0
	for _, e := range c.vm.environment {
		size += len(e) + 1
	}
	return c.wasi(c.put32(0, uint32(len(c.vm.environment))), c.put32(1, uint32(size)))
}

func (c *call) environGet() status {
	pointers, text := c.u32(0), c.u32(1)
	for _, e := range c.vm.environment {
		if c.memory == nil || !c.memory.WriteUint32Le(pointers, text) || !c.memory.WriteString(text, e+"\x00") {
			return wasiFault
		}
		pointers += 4
		text += uint32(len(e) + 1)
	}
	return ok
}
