package preflight

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// V8's limits (src/wasm/wasm-limits.h), where wazero has none or higher ones.
const (
	maxTable   = 10_000_000 // entries of all tables, when it starts
	maxLocals  = 50_000     // of a function
	maxResults = 1_000      // or parameters, of a function
)

// maxGrown is how many entries tables may grow to, of all that grow. They count from the start on,
// as nothing tells of it when one grows.
const maxGrown = 1 << 20

// Sections of a module, by id.
const (
	sectionCustom   = 0
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionTable    = 4
	sectionMemory   = 5
	sectionGlobal   = 6
	sectionExport   = 7
	sectionElement  = 9
	sectionCode     = 10
	sectionData     = 11
)

var sectionNames = map[byte]string{
	sectionType: "type", sectionImport: "import", sectionFunction: "function", sectionTable: "table",
	sectionMemory: "memory", sectionGlobal: "global", sectionExport: "export", sectionElement: "element",
	sectionCode: "code", sectionData: "data",
}

var (
	errShared = errors.New("its memory is shared between threads, and a proxy's VM has one thread")
	errTable  = fmt.Errorf("its tables have more than %d entries", maxTable)
	errLocals = fmt.Errorf("it has a function of more than %d locals", maxLocals)
)

// bounded makes a module safe to be compiled here. wazero believes every count
// in it, and allocates memory for so many: a damaged file of 150 bytes makes it
// ask for 128 GB, which ends the process. So all counts are read first, and none
// may be larger than what follows it, and what all takes together is weighed; tables
// get a maximum, so that they can't take the host's memory by growing; shared memory is refused, because a thread
// that waits for another can't be stopped. Of custom
// sections only the names of functions are left.
func bounded(module []byte) (safe []byte, w *weight, err error) {
	w = &weight{}
	grows := growsTables(codeSection(module))
	out := slices.Clone(module[:8])
	for rest := (&reader{b: module[8:]}); len(rest.b) > 0; {
		id := rest.byte()
		body := rest.bytes(rest.number())
		if rest.bad {
			return nil, nil, errors.New(invalid + ": a section ends too early")
		}
		if id == sectionCustom {
			if body = functionNames(body, w); body == nil {
				continue
			}
		} else if read := sections[id]; read != nil {
			r := &reader{b: body, weight: w, grows: grows}
			if read(r); r.refused != nil {
				return nil, nil, r.refused
			}
			if r.bad || len(r.b) > 0 {
				return nil, nil, fmt.Errorf("%s: its %s section", invalid, sectionNames[id])
			}
			if id == sectionTable {
				body = r.rewritten
			}
		}
		out = append(binary.AppendUvarint(append(out, id), uint64(len(body))), body...)
	}
	return out, w, w.tooMuch()
}

// reader reads a section. After something that can't be read it is bad, and
// everything else that it reads is 0.
type reader struct {
	b         []byte
	bad       bool
	refused   error
	rewritten []byte
	weight    *weight
	grows     bool // its tables may
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// number reads an unsigned LEB128.
func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<32-1 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// signed skips a signed LEB128.
func (r *reader) signed() {
	for r.byte()&0x80 != 0 {
		continue
	}
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// each reads a vector: its count, and so many times what is given, each of a byte or more.
func (r *reader) each(read func()) {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return
	}
	for ; n > 0 && !r.bad && r.refused == nil; n-- {
		read()
	}
}

func (r *reader) name() { r.bytes(r.number()) }

func (r *reader) index() { r.number() }
