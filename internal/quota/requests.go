package quota

import "encoding/binary"

// Which requests have come by a connection and were not taken, of each stream. All of this is called with
// the connection's lock, but for answered and took, which take it.

// requests are what has come by a stream and was not taken.
type requests struct {
	head  [5]byte // of the request that is arriving: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
	have  int     // of head
	left  int     // of the request
	size  int     // of it, with its head, as far as it has arrived
	whole []int   // sizes of those that have
}

// opened is called when a stream's headers come: the first are its request, later ones its end.
func (c *Conn) opened(id uint32) {
	if c.requests[id] == nil && !c.closed {
		c.requests[id] = &requests{}
	}
}

// arrived takes a piece of a stream's requests.
func (c *Conn) arrived(id uint32, b []byte) {
	r := c.requests[id]
	if r == nil {
		return // it was answered, and what comes yet is dropped
	}
	c.unread += len(b)
	for len(b) > 0 {
		if r.have < len(r.head) {
			n := copy(r.head[r.have:], b)
			r.have, r.size, b = r.have+n, r.size+n, b[n:]
			if r.have < len(r.head) {
				return
			}
			r.left = int(binary.BigEndian.Uint32(r.head[1:]))
		}
		n := min(r.left, len(b))
		r.left, r.size, b = r.left-n, r.size+n, b[n:]
		if r.left == 0 {
			c.came += 1 + r.size/requestSize
			r.whole = append(r.whole, r.size)
			r.have, r.size = 0, 0
		}
	}
}

// ended is called when the client says no more on a stream. What it has said is yet to be taken, unless it has
// reset the stream: then nobody takes that any more.
func (c *Conn) ended(id uint32) {
	if c.in.kind == frameReset {
		c.drop(id)
	}
}

// answered is called when the server has said its last word on a stream.
func (c *Conn) answered(id uint32) {
	c.mu.Lock()
	by := c.drop(id)
	c.mu.Unlock()
	c.client.count(-by, 0)
}

// drop forgets a stream's requests, and returns how many bytes they had.
func (c *Conn) drop(id uint32) int {
	r := c.requests[id]
	if r == nil {
		return 0
	}
	n := r.size
	for _, size := range r.whole {
		n += size
	}
	delete(c.requests, id)
	c.unread -= n
	return n
}

// took is called when a stream's oldest request was taken.
func (c *Conn) took(id uint32) {
	c.mu.Lock()
	n := 0
	if r := c.requests[id]; r != nil && len(r.whole) > 0 {
		n = r.whole[0]
		if len(r.whole) == 1 { // as it nearly always is
			r.whole = r.whole[:0]
		} else {
			r.whole = r.whole[1:]
		}
		c.unread -= n
	}
	c.mu.Unlock()
	c.client.count(-n, 0)
}
