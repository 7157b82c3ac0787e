package preflight

import (
	"bytes"
	"strconv"
)

// A message of HTTP/1 ends where its content-length says, whatever a filter has made of its body: what is beyond
// is not read, and what is missing is waited for. Envoy sends both as they are, and HTTP/2 takes neither.

// ends puts an end there to what has passed the filter. The error is of a message that never comes to its end.
func (p *passage) ends() error {
	if p.served {
		if err := p.cut(requestStream, p.passed[requestStream].headers, "the service"); err != nil {
			return err
		}
	}
	if p.got == gotReset || p.bodiless() {
		return nil
	}
	return p.cut(responseStream, p.s.response.headers, "the client")
}

// bodiless is whether the answer has no body, whatever its content-length is.
func (p *passage) bodiless() bool {
	method, _ := p.messages[requestStream].headers.get(":method")
	return method == "HEAD" || p.got == "204" || p.got == "304"
}

// cut ends a message. One that comes with another length than it says, as a check may have it, is left as it is.
func (p *passage) cut(direction int, h headers, reader string) error {
	came := p.messages[direction]
	before, given := declared(came.headers)
	said, is := declared(h)
	if !is || given && before != uint64(len(bytes.Join(came.body, nil))) {
		return nil
	}
	m := &p.passed[direction]
	body := bytes.Join(m.body, nil)
	if length := uint64(len(body)); said > length {
		return p.vm.pauses("%s waits for ever: %s has content-length %d, and the filter lets %d bytes of its body pass (a filter that changes a body removes content-length, with the headers)",
			reader, callbacksOf[direction].noun, said, length)
	}
	m.body, m.cut = [][]byte{body[:said]}, said < uint64(len(body))
	return nil
}

// declared is a message's content-length.
func declared(h headers) (length uint64, is bool) {
	text, said := h.get("content-length")
	length, err := strconv.ParseUint(text, 10, 63)
	return length, said && err == nil
}
