package quota

import "time"

const (
	// fairUnread is what a client may have unread, in bytes, whatever others have.
	fairUnread = 8 << 20
	// requestSize is how many bytes of a request count as one.
	requestSize = 4 << 10
	// perStream is how many requests a second a stream adds to what its client may send, and
	// alone what one may that has none yet; burst is for how many seconds that may come at once.
	perStream, alone = 20, 100
	burst            = 30
)

// full is whether a client has sent too much that was not taken yet, so that nothing more is read of it.
func (c *Client) full() bool {
	all := c.all
	all.mu.Lock()
	defer all.mu.Unlock()
	l := all.limits
	return l.ClientUnread > 0 && c.unread > l.ClientUnread || l.Unread > 0 && all.unread > l.Unread && c.unread > fairUnread
}

// count counts bytes that have come (fewer than 0: that were taken) and requests. It returns for how long
// nothing more is to be read of the client, so that it does not ask more often than it may.
func (c *Client) count(bytes, requests int) time.Duration {
	if bytes == 0 && requests == 0 {
		return 0
	}
	all := c.all
	all.mu.Lock()
	defer all.mu.Unlock()
	c.unread += bytes
	all.unread += bytes
	l := all.limits.ClientRequests
	if requests == 0 || l == 0 {
		return 0
	}
	rate := c.rate(l)
	delay := c.asks.take(float64(requests), float64(rate*burst), float64(rate), all.now())
	if delay > 0 {
		all.refusals.add(all.now(), Requests, c.Name, "it asks more often than it may, and is read more slowly")
	}
	return delay
}

// rate is how many requests a second a client may send, where none may send more than most.
func (c *Client) rate(most int) int {
	rate := alone
	for _, n := range c.streams {
		rate += perStream * n
	}
	return min(rate, most)
}

// left is called when a connection has ended, with the bytes that were not taken of it.
func (c *Client) left(unread int) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.conns--
	c.unread -= unread
	c.all.unread -= unread
	c.last = c.all.now()
}
