package preflight

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// maxReady is how many bytes a module may take here that is ready to run, before anything of it does.
const maxReady = 2 << 30

// What the parts of a module take in wazero, in bytes: measured of modules that have a million of one
// thing. A file may hold each in a few bytes, and locals in nearly none.
const (
	perType     = 240
	perImport   = 300
	perFunction = 500
	perLocal    = 64 // the interpreter has an instruction to set each
	perCode     = 24 // of the bytes of functions, on average; at worst twice as much
	perGlobal   = 200
	perExport   = 350
	perSegment  = 120
	perIndex    = 16 // of a function in an element segment
	perName     = 100
)

// The same of each instance.
const (
	perInstanceFunction = 64
	perInstanceGlobal   = 96
	perInstanceIndex    = 8 // of a table or an element segment
)

// weight is what a module takes: ready to run, by what of it, and each instance.
type weight struct {
	ready map[string]uint64
	fixed uint64
}

func (w *weight) add(what string, n uint64) {
	if w.ready == nil {
		w.ready = map[string]uint64{}
	}
	w.ready[what] += n
}

// total is all that it takes ready to run.
func (w *weight) total() uint64 {
	sum := uint64(0)
	for _, n := range w.ready {
		sum += n
	}
	return sum
}

// tooMuch refuses a module that would take more than may be.
func (w *weight) tooMuch() error {
	total := w.total()
	if total <= maxReady {
		return nil
	}
	most := slices.MaxFunc(slices.Sorted(maps.Keys(w.ready)), func(a, b string) int { return cmp.Compare(w.ready[a], w.ready[b]) })
	return fmt.Errorf("it would take %d MiB to be made ready to run, most of it for its %s, and may take %d MiB", total>>20, most, maxReady>>20)
}

// growsTables reports whether a code section may have an instruction table.grow: 0xfc, and 15 as LEB128
// in whatever length. It may be wrong where it says so.
func growsTables(code []byte) bool {
	for {
		i := bytes.IndexByte(code, 0xfc)
		if i < 0 || i+1 >= len(code) {
			return false
		}
		if code = code[i+1:]; code[0]&0x7f == 15 {
			return true
		}
	}
}

// codeSection is the code section of a module, nil where there is none.
func codeSection(module []byte) []byte {
	for rest := (&reader{b: module[8:]}); len(rest.b) > 0 && !rest.bad; {
		id := rest.byte()
		if body := rest.bytes(rest.number()); id == sectionCode {
			return body
		}
	}
	return nil
}
