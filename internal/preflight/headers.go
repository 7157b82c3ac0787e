package preflight

import (
	"encoding/binary"
	"slices"
	"strings"
)

// headers is a header map: names in lower case, in order, repeats kept.
type headers []field

type field struct{ name, value string }

func (h headers) get(name string) (string, bool) {
	name = canonical(name)
	for _, f := range h {
		if f.name == name {
			return f.value, true
		}
	}
	return "", false
}

// valuesOf are those of a name.
func (h headers) valuesOf(name string) []string {
	var out []string
	for _, f := range h {
		if f.name == canonical(name) {
			out = append(out, f.value)
		}
	}
	return out
}

func (h *headers) add(name, value string) { *h = append(*h, field{canonical(name), value}) }

func (h *headers) remove(name string) {
	name = canonical(name)
	*h = slices.DeleteFunc(*h, func(f field) bool { return f.name == name })
}

// set puts one value in the place of all that a name had.
func (h *headers) set(name, value string) {
	name = canonical(name)
	i := slices.IndexFunc(*h, func(f field) bool { return f.name == name })
	if i < 0 {
		h.add(name, value)
		return
	}
	(*h)[i].value = value
	rest := (*h)[i+1:]
	*h = slices.Concat((*h)[:i+1], slices.DeleteFunc(slices.Clone(rest), func(f field) bool { return f.name == name }))
}

// bytes is Envoy's HeaderMap::byteSize.
func (h headers) bytes() int {
	n := 0
	for _, f := range h {
		n += len(f.name) + len(f.value)
	}
	return n
}

// canonical writes a name as Envoy's header maps do, to which Host is :authority.
func canonical(name string) string {
	if name = strings.ToLower(name); name == "host" {
		return ":authority"
	}
	return name
}

// Limits of a serialized map, proxy-wasm-cpp-host's (limits.h).
const (
	maxPairs      = 1024
	maxPairsBytes = 1 << 20
)

// marshal writes a map as the ABI has it: the count, then the lengths of each
// name and value, then each of them with a NUL. An empty map is no bytes.
func (h headers) marshal() []byte {
	if len(h) == 0 {
		return nil
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(h)))
	for _, f := range h {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(f.name)))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(f.value)))
	}
	for _, f := range h {
		out = append(append(out, f.name...), 0)
		out = append(append(out, f.value...), 0)
	}
	return out
}

// unmarshal reads a map; what is malformed is an empty one, as it is to Envoy.
func unmarshal(b []byte) headers {
	if len(b) < 4 || len(b) > maxPairsBytes {
		return nil
	}
	count := int(binary.LittleEndian.Uint32(b))
	if count > maxPairs || len(b) < 4+8*count {
		return nil
	}
	lengths, text := b[4:4+8*count], b[4+8*count:]
	next := func(i int) (string, bool) {
		n := uint64(binary.LittleEndian.Uint32(lengths[4*i:]))
		if uint64(len(text)) < n+1 || text[n] != 0 {
			return "", false
		}
		s := string(text[:n])
		text = text[n+1:]
		return s, true
	}
	var out headers
	for i := range count {
		name, ok1 := next(2 * i)
		value, ok2 := next(2*i + 1)
		if !ok1 || !ok2 {
			return nil
		}
		out.add(name, value)
	}
	if len(text) > 0 {
		return nil
	}
	return out
}
