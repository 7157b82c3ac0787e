package preflight

import "slices"

// Header maps, as the ABI numbers them; there are never trailers here, nor
// anything of a gRPC call.
const (
	requestHeaders  = 0
	responseHeaders = 2
	callAnswer      = 6 // headers of the answer to an HTTP call
	maxHeaderMap    = 7
)

// Buffers, as the ABI numbers them.
const (
	requestBody         = 0
	responseBody        = 1
	callAnswerBody      = 4
	vmConfiguration     = 6
	pluginConfiguration = 7
	callData            = 8
)

// readable finds a header map that can be read now, or nil. The access log can
// read what has passed, but not write to it.
func (c *call) readable(kind uint32) *headers {
	if kind == callAnswer && c.vm.answering {
		answer := slices.Clone(callHeaders)
		return &answer
	}
	s := c.stream()
	if s == nil || !s.logging {
		return c.writable(kind)
	}
	return s.headers(kind)
}

// writable finds a header map that can be written to now, or nil.
func (c *call) writable(kind uint32) *headers {
	s := c.stream()
	if s == nil || kind == requestHeaders && !s.requestOpen || kind == responseHeaders && !s.responseOpen {
		return nil
	}
	return s.headers(kind)
}

func (s *stream) headers(kind uint32) *headers {
	switch kind {
	case requestHeaders:
		return &s.request
	case responseHeaders:
		return &s.response
	}
	return nil
}

// usable is ok where a function can go on with a header map and its other arguments, and
// otherwise what is wrong first, in Envoy's order.
func (c *call) usable(m *headers, readable bool) status {
	switch {
	case c.u32(0) > maxHeaderMap:
		return badArgument
	case !readable:
		return invalidMemoryAccess
	case m == nil:
		return badArgument
	}
	return ok
}

func (c *call) getHeader() status {
	name, readable := c.text(1)
	m := c.readable(c.u32(0))
	if s := c.usable(m, readable); s != ok {
		return s
	}
	// The first of several: what Envoy answers, and a trap for filters.
	value, there := m.get(name)
	if !there && c.vm.abi != "0_1_0" {
		return notFound
	}
	return c.give(3, []byte(value))
}

// change is what the functions that write to a header map have in common.
func (c *call) change(do func(m *headers, name, value string), withValue bool) status {
	name, ok1 := c.text(1)
	value, ok2 := "", true
	if withValue {
		value, ok2 = c.text(3)
	}
	m := c.writable(c.u32(0))
	if s := c.usable(m, ok1 && ok2); s != ok {
		return s
	}
	if !c.vm.memory.keep(len(name) + len(value)) {
		return internalFailure
	}
	do(m, name, value)
	return ok
}

func (c *call) addHeader() status {
	return c.change(func(m *headers, name, value string) { m.add(name, value) }, true)
}

func (c *call) replaceHeader() status {
	return c.change(func(m *headers, name, value string) { m.set(name, value) }, true)
}

func (c *call) removeHeader() status {
	return c.change(func(m *headers, name, _ string) { m.remove(name) }, false)
}

func (c *call) getHeaders() status {
	if c.u32(0) > maxHeaderMap {
		return badArgument
	}
	m := c.readable(c.u32(0))
	if m == nil {
		m = &headers{}
	}
	return c.give(1, m.marshal())
}

func (c *call) setHeaders() status {
	packed, readable := c.bytes(1)
	m := c.writable(c.u32(0))
	if s := c.usable(m, readable); s != ok {
		return s
	}
	if !c.vm.memory.keep(len(packed)) {
		return internalFailure
	}
	*m = unmarshal(packed)
	return ok
}

func (c *call) headersSize() status {
	m := c.readable(c.u32(0))
	if m == nil {
		return badArgument
	}
	return c.put32(1, uint32(m.bytes()))
}

// buffer finds a buffer; there is false where Envoy has none.
func (c *call) buffer(kind uint32) (data []byte, there bool) {
	s := c.stream()
	switch kind {
	case requestBody, callData:
		return nil, true // a check has no body, and no foreign function is ever called
	case responseBody:
		if s != nil && s.bodyOpen {
			return s.body, true
		}
		return nil, true
	case callAnswerBody:
		return []byte(callBody), c.vm.answering
	case vmConfiguration:
		return c.vm.vmConfiguration, true
	case pluginConfiguration:
		return c.vm.configuration, c.vm.configuring
	}
	return nil, false
}

func (c *call) bufferStatus() status {
	data, there := c.buffer(c.u32(0))
	switch {
	case c.u32(0) > callData:
		return badArgument
	case !there:
		return notFound
	}
	if result := c.put32(1, uint32(len(data))); result != ok {
		return result
	}
	return c.put32(2, 0)
}

func (c *call) getBuffer() status {
	data, there := c.buffer(c.u32(0))
	from, length := uint64(c.u32(1)), uint64(c.u32(2))
	switch {
	case c.u32(0) > callData:
		return badArgument
	case !there:
		return notFound
	}
	from = min(from, uint64(len(data)))
	return c.give(3, data[from:min(from+length, uint64(len(data)))])
}

// setBuffer puts bytes before a body, after it or in its place, the three things
// that Envoy's Buffer::copyFrom can do.
func (c *call) setBuffer() status {
	data, readable := c.bytes(3)
	from, length := uint64(c.u32(1)), uint64(c.u32(2))
	s := c.stream()
	switch {
	case c.u32(0) > callData:
		return badArgument
	case !readable:
		return invalidMemoryAccess
	case c.u32(0) != responseBody || s == nil || !s.bodyOpen:
		return badArgument
	case !c.vm.memory.keep(len(data)):
		return internalFailure
	case from == 0 && length == 0:
		s.body = append(append([]byte(nil), data...), s.body...)
	case from == 0 && length >= uint64(len(s.body)):
		s.body = append([]byte(nil), data...)
	case from >= uint64(len(s.body)):
		s.body = append(s.body, data...)
	default:
		return badArgument
	}
	return ok
}
