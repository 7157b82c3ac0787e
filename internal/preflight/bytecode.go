package preflight

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// maxTable is how many entries the tables of a module may have, V8's own limit
// (kV8MaxWasmTableSize). wazero has a higher one, of 32 GB.
const maxTable = 10_000_000

const (
	sectionTable  = 4
	sectionMemory = 5

	funcref   = 0x70
	externref = 0x6f
)

// bounded returns a module with a maximum on each of its tables, so that it can't
// take the host's memory by growing them. It refuses memory that is shared
// between threads: a thread that waits for another can't be stopped.
// What it can't read it leaves to the compiler to refuse.
func bounded(module []byte) ([]byte, error) {
	out := module
	for at := 8; at < len(module); {
		size, n := binary.Uvarint(module[at+1:])
		start := at + 1 + n
		if n <= 0 || size > uint64(len(module)-start) {
			return out, nil
		}
		end := start + int(size)
		switch id, section := module[at], module[start:end]; id {
		case sectionMemory:
			if sharedMemory(section) {
				return nil, errors.New("its memory is shared between threads, and a proxy's VM has one thread")
			}
		case sectionTable:
			tables, err := boundedTables(section)
			if err != nil {
				return nil, err
			}
			// The only section of its kind, and before the memory's.
			out = slices.Concat(module[:at], binary.AppendUvarint([]byte{id}, uint64(len(tables))), tables, module[end:])
		}
		at = end
	}
	return out, nil
}

func sharedMemory(section []byte) bool {
	count, n := binary.Uvarint(section)
	return n > 0 && count > 0 && n < len(section) && section[n]&2 != 0
}

// boundedTables gives each table of a table section its part of maxTable.
func boundedTables(section []byte) ([]byte, error) {
	r := bytes.NewReader(section)
	number := func() uint64 {
		v, err := binary.ReadUvarint(r)
		if err != nil {
			return math.MaxUint32 // no module has as many of anything
		}
		return v
	}
	count := number()
	out, total := binary.AppendUvarint(nil, count), uint64(0)
	for range min(count, uint64(len(section))) {
		kind, _ := r.ReadByte()
		flags, _ := r.ReadByte()
		least, most := number(), maxTable/count
		if flags == 1 {
			most = min(most, number())
		}
		if total += least; total > maxTable {
			return nil, fmt.Errorf("its tables have more than %d entries, or are cut short", maxTable)
		}
		if flags > 1 || kind != funcref && kind != externref {
			return nil, errors.New("it has a table of a kind that WebAssembly 2.0 does not have")
		}
		out = append(out, kind, 1)
		out = binary.AppendUvarint(out, least)
		out = binary.AppendUvarint(out, max(least, most))
	}
	if r.Len() > 0 {
		return nil, errors.New("its table section is longer than its tables")
	}
	return out, nil
}
