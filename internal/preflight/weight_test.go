package preflight

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/module"
)

// section makes one of a module.
func section(id byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
}

// vector makes one of so many times the same.
func vector(n int, item ...byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(n)), slices.Concat(slices.Repeat([][]byte{item}, n)...)...)
}

// params are the types of so many parameters of a function.
func params(n int) string { return strings.Repeat(" i32", n) }

// What a compiler here would make gigabytes of is refused before it has it, and told of what.
func TestTooHeavy(t *testing.T) {
	start := slices.Concat([]byte("\x00asm\x01\x00\x00\x00"), section(sectionType, []byte{1, 0x60, 0, 0}))
	// A function of 8 bytes, and 50,000 locals that the interpreter sets one by one.
	locals := slices.Concat(start, section(sectionFunction, vector(1000, 0)), section(sectionCode, vector(1000, 6, 1, 0xd0, 0x86, 3, 0x7f, 0x0b)))
	_, err := New(Limits{}, nil).Try(t.Context(), Plugin{Module: module.New(locals)})
	want := "it would take 3052 MiB to be made ready to run, most of it for its locals, and may take 2048 MiB"
	if e := (*Error)(nil); !errors.As(err, &e) || e.Step != StepModule || e.Reason != want {
		t.Errorf("%v, want %s", err, want)
	}
	for name, c := range map[string]struct {
		section []byte
		each    uint64
	}{
		"globals":       {section(sectionGlobal, vector(10, 0x7f, 0, 0x41, 0, 0x0b)), perGlobal},
		"exports":       {section(sectionExport, vector(10, 1, 'a', 0, 0)), perExport},
		"functions":     {section(sectionFunction, vector(10, 0)), perFunction},
		"imports":       {section(sectionImport, vector(10, 1, 'a', 1, 'b', 0, 0)), perImport},
		"data segments": {section(sectionData, vector(10, 1, 0)), perSegment},
	} {
		_, w, err := bounded(slices.Concat(start, c.section))
		if err != nil || w.ready[name] != 10*c.each {
			t.Errorf("%s: %v, %v", name, err, w.ready)
		}
	}
}

// table.grow is found however it is written.
func TestGrowsTables(t *testing.T) {
	for code, want := range map[string]bool{
		"\xfc\x0f\x00": true, "\x41\xfc\x8f\x00\x00": true, "\xfc\x8f\x80\x00": true,
		"\xfc\x0a\x00": false, "\xfc": false, "": false, "\x0f": false, "\xfc\xfc\x0f": true,
	} {
		if growsTables([]byte(code)) != want {
			t.Errorf("% x: not %v", code, want)
		}
	}
}

// A module's words are bounded where they are in an error, and are one line.
func TestWords(t *testing.T) {
	long := "env\n\x1b[31m" + strings.Repeat("x", 1<<20)
	name := append(binary.AppendUvarint(nil, uint64(len(long))), long...)
	m := slices.Concat([]byte(head), section(sectionImport, slices.Concat([]byte{1}, name, []byte{1, 'f', 0, 1})), []byte(funcs),
		[]byte(exports("proxy_abi_version_0_2_0", "malloc", 2)+code))
	_, err := New(Limits{}, nil).Try(t.Context(), Plugin{Module: module.New(m)})
	if err == nil || len(err.Error()) > maxReason+8 || strings.ContainsAny(err.Error(), "\n\x1b") || !strings.HasPrefix(err.Error(), "it imports env  [31mxxx") {
		t.Errorf("%.100q", err)
	}
	p := plugin(t, `(import "env" "proxy_replace_header_map_value" (func $set (param`+params(5)+`) (result i32)))
(data (i32.const 0) ":status")
(func (export "proxy_on_response_headers") (param`+params(3)+`) (result i32)
  (call $set (i32.const 2) (i32.const 0) (i32.const 7) (i32.const 0) (i32.const 65536)))`)
	_, err = New(patient, lookup).Try(t.Context(), p)
	if e := (*Error)(nil); !errors.As(err, &e) || len(e.Got) > maxAnswer+8 || len(e.Error()) > 2*maxReason || strings.Contains(e.Error(), "\x00") {
		t.Errorf("%.300q", err)
	}
}

// What is taken out of a queue leaves nothing behind, however often.
func TestQueueIsEmptied(t *testing.T) {
	p := plugin(t, `(import "env" "proxy_register_shared_queue" (func $register (param`+params(3)+`) (result i32)))
(import "env" "proxy_enqueue_shared_queue" (func $put (param`+params(3)+`) (result i32)))
(import "env" "proxy_dequeue_shared_queue" (func $take (param`+params(3)+`) (result i32)))
(func (export "proxy_on_configure") (param i32 i32) (result i32) (local $n i32)
  (call $same (i32.const 0) (call $register (i32.const 0) (i32.const 1) (i32.const 8)))
  (loop
    (global.set $heap (i32.const 4096))
    (drop (call $put (i32.load (i32.const 8)) (i32.const 0) (i32.const 1)))
    (drop (call $take (i32.load (i32.const 8)) (i32.const 12) (i32.const 16)))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if 0 (i32.lt_u (local.get $n) (i32.const 20000))))
  (i32.const 1))`)
	v, err := New(patient, lookup).alone(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close(t.Context())
	if v.memory.kept != uint64(perEntry+1) || cap(v.ready) > 2*maxSteps {
		t.Errorf("%d bytes are kept, and %d things to tell", v.memory.kept, cap(v.ready))
	}
}

// A call's answer counts while it is under way, and no longer.
func TestCallsCount(t *testing.T) {
	p := plugin(t, `(import "env" "proxy_http_call" (func $call (param`+params(10)+`) (result i32)))
(data (i32.const 0) "\03\00\00\00\05\00\00\00\01\00\00\00\07\00\00\00\03\00\00\00\0a\00\00\00\01\00\00\00:path\00/\00:method\00GET\00:authority\00a\00")
(func (export "proxy_on_configure") (param i32 i32) (result i32)
  (i32.eqz (call $call (i32.const 28) (i32.const 1) (i32.const 0) (i32.const 61) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 200))))`)
	v, err := New(patient, lookup).alone(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close(t.Context())
	if v.token != 1 || v.calling != 0 || v.memory.kept != 0 {
		t.Errorf("%d calls, %d and %d bytes", v.token, v.calling, v.memory.kept)
	}
	v.memory.limit = v.memory.held() + 10*(perDue+4*perHeader)
	for range 20 {
		v.soon(1, 0, reply{headers: make(headers, 4)}, (*vm).answered)
	}
	if len(v.calls) != 10 || !v.memory.over || !strings.Contains(v.tooMuchMemory().Error(), "calls under way") {
		t.Errorf("%d are under way: %v", len(v.calls), v.tooMuchMemory())
	}
}

// What a host function does for long ends with the time that the module has.
func TestVectors(t *testing.T) {
	v, err := New(patient, lookup).alone(t.Context(), plugin(t, "(func)"))
	if err != nil {
		t.Fatal(err)
	}
	defer v.close(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	write := func() status {
		return (&call{ctx: ctx, vm: v, memory: v.module.Memory(), stack: []uint64{stdout, 0, 100, 4096}}).write(3)
	}
	if result := write(); result != ok {
		t.Errorf("with time: %d", result)
	}
	cancel()
	if result := write(); result != wasiFault {
		t.Errorf("without: %d", result)
	}
}
