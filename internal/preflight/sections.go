package preflight

import (
	"bytes"
	"encoding/binary"
)

// sections read those sections of a module that hold counts.
// https://webassembly.github.io/spec/core/binary/modules.html
var sections = map[byte]func(*reader){
	sectionType:     func(r *reader) { r.each(r.functionType) },
	sectionImport:   func(r *reader) { r.each(r.imported) },
	sectionFunction: func(r *reader) { r.each(r.declared) },
	sectionTable:    (*reader).tables,
	sectionMemory:   func(r *reader) { r.each(r.memory) },
	sectionGlobal:   func(r *reader) { r.each(r.global) },
	sectionExport:   func(r *reader) { r.each(r.exported) },
	sectionElement:  func(r *reader) { r.each(r.element) },
	sectionCode:     func(r *reader) { r.each(r.function) },
	sectionData:     func(r *reader) { r.each(r.data) },
}

func (r *reader) functionType() {
	form := r.byte()
	r.weight.add("types", perType)
	params := r.bytes(r.number())
	results := r.bytes(r.number())
	if form != 0x60 || max(len(params), len(results)) > maxResults {
		r.bad = true
	}
}

// Kinds of what is imported.
const (
	kindFunction = 0
	kindTable    = 1
	kindMemory   = 2
	kindGlobal   = 3
)

func (r *reader) declared() {
	r.weight.add("functions", perFunction)
	r.weight.fixed += perInstanceFunction
	r.index()
}

func (r *reader) global() {
	r.weight.add("globals", perGlobal)
	r.weight.fixed += perInstanceGlobal
	r.bytes(2)
	r.expression()
}

func (r *reader) exported() {
	r.weight.add("exports", perExport)
	r.name()
	r.byte()
	r.index()
}

func (r *reader) imported() {
	r.weight.add("imports", perImport)
	r.weight.fixed += perInstanceFunction
	r.name()
	r.name()
	switch r.byte() {
	case kindFunction:
		r.index()
	case kindTable:
		r.byte()
		r.limits()
	case kindMemory:
		r.memory()
	case kindGlobal:
		r.bytes(2)
	default:
		r.bad = true
	}
}

func (r *reader) memory() {
	if _, _, shared := r.limits(); shared {
		r.refused = errShared
	}
}

// limits reads a minimum and a maximum.
func (r *reader) limits() (least, most uint64, shared bool) {
	flags := r.byte()
	least, most = r.number(), 1<<32-1
	if flags&1 != 0 {
		most = r.number()
	}
	if flags > 3 || most < least {
		r.bad = true
	}
	return least, most, flags&2 != 0
}

// tables reads the table section, and writes it anew with a maximum for each
// table: its part of what all may have.
func (r *reader) tables() {
	count, _ := binary.Uvarint(r.b) // each reads it again, and judges it
	r.rewritten = binary.AppendUvarint(nil, count)
	total := uint64(0)
	r.each(func() {
		kind := r.byte()
		least, most, shared := r.limits()
		if total += least; total > maxTable {
			r.refused = errTable
		}
		r.bad = r.bad || shared
		r.rewritten = append(r.rewritten, kind, 1)
		r.rewritten = binary.AppendUvarint(r.rewritten, least)
		most = max(least, min(most, maxGrown/max(count, 1)))
		r.rewritten = binary.AppendUvarint(r.rewritten, most)
		if !r.grows {
			most = least
		}
		r.weight.fixed += perInstanceIndex * most
	})
}

// function reads the locals of a function's body. The body itself holds counts
// too, of branch tables: the compiler reads those one by one.
func (r *reader) function() {
	body := &reader{b: r.bytes(r.number())}
	r.weight.add("code", perCode*uint64(len(body.b)))
	total := uint64(0)
	body.each(func() {
		total += body.number()
		body.byte()
	})
	if total > maxLocals {
		r.refused = errLocals
	}
	r.weight.add("locals", perLocal*total)
	r.bad = r.bad || body.bad
}

// Opcodes of constant expressions.
const (
	opEnd       = 0x0b
	opGlobalGet = 0x23
	opI32Const  = 0x41
	opI64Const  = 0x42
	opF32Const  = 0x43
	opF64Const  = 0x44
	opRefNull   = 0xd0
	opRefFunc   = 0xd2
	opVector    = 0xfd
)

func (r *reader) expression() {
	for !r.bad {
		switch r.byte() {
		case opEnd:
			return
		case opI32Const, opI64Const, opRefNull:
			r.signed()
		case opGlobalGet, opRefFunc:
			r.index()
		case opF32Const:
			r.bytes(4)
		case opF64Const:
			r.bytes(8)
		case opVector:
			r.bytes(17)
		default:
			r.bad = true
		}
	}
}

// Flags of an element segment.
const (
	elementPassive     = 1 // or declarative
	elementExplicit    = 2 // which table, or that it is declarative
	elementExpressions = 4 // and not indexes of functions
)

func (r *reader) element() {
	r.weight.add("element segments", perSegment)
	flags := r.number()
	if flags > 7 {
		r.bad = true
		return
	}
	if flags&elementPassive == 0 {
		if flags&elementExplicit != 0 {
			r.index()
		}
		r.expression()
	}
	if flags&(elementPassive|elementExplicit) != 0 {
		r.byte() // of which kind
	}
	if flags&elementExpressions != 0 {
		r.each(func() { r.referred(); r.expression() })
		return
	}
	r.each(func() { r.referred(); r.index() })
}

// referred weighs an entry of an element segment.
func (r *reader) referred() {
	r.weight.add("element segments", perIndex)
	r.weight.fixed += perInstanceIndex
}

func (r *reader) data() {
	r.weight.add("data segments", perSegment)
	switch r.number() {
	case 0:
		r.expression()
	case 1: // passive
	case 2:
		r.index()
		r.expression()
	default:
		r.bad = true
	}
	r.name() // bytes, counted as a name's are
}

const (
	nameSection  = "\x04name"
	namesOfFuncs = 1
)

// functionNames leaves of a custom section what tells in which function a trap
// was, and nil of any other, or of one that is malformed.
func functionNames(section []byte, w *weight) []byte {
	rest, isNames := bytes.CutPrefix(section, []byte(nameSection))
	for r := (&reader{b: rest}); isNames && len(r.b) > 0; {
		id, size := r.byte(), r.number()
		names := r.bytes(size)
		if id != namesOfFuncs || r.bad {
			continue
		}
		check := &reader{b: names}
		check.each(func() { w.add("names", perName); check.index(); check.name() })
		if check.bad || len(check.b) > 0 {
			return nil
		}
		return append(binary.AppendUvarint(append([]byte(nameSection), id), size), names...)
	}
	return nil
}
