package control

import "time"

// salt is what the ranks of proxies go by, in all fleets; see rollout's rank.go. It is a secret of
// the state directory. While that does not take it there is none: ranks that a restart forgets
// would have a rollout go on with other proxies than it began with.
type salt struct {
	is      string    // "" for none
	retryAt time.Time // zero: not at all
	reading bool      // beside the loop
}

const saltRetry = 10 * time.Second

// readSalt reads or makes it, when the server starts.
func (c *Control) readSalt() {
	is, err := c.Store.Salt()
	c.saltRead(is, err)
}

// retrySalt does so again, beside the loop, if it is time.
func (c *Control) retrySalt() {
	if c.salt.retryAt.IsZero() || c.salt.reading {
		return
	}
	if time.Now().Before(c.salt.retryAt) {
		c.wake(c.salt.retryAt)
		return
	}
	c.salt.reading = true
	c.writing.Go(func() {
		is, err := c.Store.Salt()
		c.results.Put(func() {
			c.salt.reading = false
			c.saltRead(is, err)
		})
	})
}

func (c *Control) saltRead(is string, err error) {
	if err != nil {
		if c.salt.retryAt.IsZero() {
			c.Log.Error("the secret by which proxies are ranked is not in the state directory: it is tried again, and until then who knows the node ids knows who is first", "error", err)
		}
		c.salt.retryAt = time.Now().Add(saltRetry)
		c.wake(c.salt.retryAt)
		return
	}
	c.salt = salt{is: is}
	for _, s := range c.fleets {
		s.rollout.SetSalt(is)
	}
}
