package preflight

// Header maps, as the ABI numbers them.
const (
	requestHeaders   = 0
	requestTrailers  = 1
	responseHeaders  = 2
	responseTrailers = 3
	grpcInitial      = 4
	grpcTrailing     = 5
	callAnswer       = 6 // headers of the answer to an HTTP call
	callTrailers     = 7
	maxHeaderMap     = 7
)

// Buffers, as the ABI numbers them.
const (
	requestBody         = 0
	responseBody        = 1
	callAnswerBody      = 4
	grpcBody            = 5
	vmConfiguration     = 6
	pluginConfiguration = 7
	callData            = 8
)

// readable finds a header map that can be read now, or nil. The access log can
// read what has passed, but not write to it.
func (c *call) readable(kind uint32) *headers {
	if m := c.vm.answer.headersOf(kind); m != nil {
		return m
	}
	s := c.stream()
	if s == nil || !s.logging || kind == requestTrailers { // which Envoy does not keep
		return c.writable(kind)
	}
	m, _ := s.headers(kind)
	if m == nil || *m == nil {
		return nil // it never came
	}
	return m
}

// writable finds a header map that can be written to now, or nil.
func (c *call) writable(kind uint32) *headers {
	s := c.stream()
	if s == nil {
		return nil
	}
	if m, open := s.headers(kind); open {
		return m
	}
	return nil
}

// headers finds a header map, and whether the filter is at it.
func (s *stream) headers(kind uint32) (m *headers, open bool) {
	switch kind {
	case requestHeaders:
		return &s.request.headers, s.request.headersOpen
	case requestTrailers:
		return &s.request.trailers, s.request.trailersOpen
	case responseHeaders:
		return &s.response.headers, s.response.headersOpen
	case responseTrailers:
		return &s.response.trailers, s.response.trailersOpen
	}
	return nil, false
}

// usable is ok where a function can go on with a header map and its other arguments, and
// otherwise what is wrong first, in Envoy's order.
func (c *call) usable(m *headers, readable bool) status {
	return c.may(maxHeaderMap, readable, m != nil)
}

// may is that of a function whose first argument says which one is meant of the kinds up to
// last: whether the others are readable, and the one meant is there.
func (c *call) may(last uint32, readable, there bool) status {
	switch {
	case c.u32(0) > last:
		return badArgument
	case !readable:
		return invalidMemoryAccess
	case !there:
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
	if !c.vm.memory.keep(perHeader+len(name)+len(value), "headers") {
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
	if !c.vm.memory.keep(len(packed), "headers") {
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
	switch kind {
	case callData:
		return nil, true // no foreign function of the filter's is ever called
	case requestBody, responseBody:
		if p := c.body(kind); p != nil {
			return p.body, true
		}
		return nil, true
	case callAnswerBody, grpcBody:
		return c.vm.answer.bodyOf(kind)
	case vmConfiguration:
		return c.vm.vmConfiguration, true
	case pluginConfiguration:
		return c.vm.configuration, c.vm.configuring
	}
	return nil, false
}

// body finds the part whose body can be read and written now, or nil.
func (c *call) body(kind uint32) *part {
	s := c.stream()
	switch {
	case s != nil && kind == requestBody && s.request.bodyOpen:
		return &s.request
	case s != nil && kind == responseBody && s.response.bodyOpen:
		return &s.response
	}
	return nil
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

// setBuffer puts bytes before a body, after it or in the place of what it begins with, the three
// things that Envoy's Buffer::copyFrom can do.
func (c *call) setBuffer() status {
	data, readable := c.bytes(3)
	from, length := uint64(c.u32(1)), uint64(c.u32(2))
	p := c.body(c.u32(0))
	if s := c.may(callData, readable, p != nil); s != ok {
		return s
	}
	switch {
	case !c.vm.memory.keep(len(data), "bodies"):
		return internalFailure
	case from == 0:
		p.body = append(append([]byte(nil), data...), p.body[min(length, uint64(len(p.body))):]...)
	case from >= uint64(len(p.body)):
		p.body = append(p.body, data...)
	default:
		return badArgument
	}
	return ok
}
