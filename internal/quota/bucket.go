package quota

import "time"

// A bucket limits how often something is done. Its zero value is full.
type bucket struct {
	taken float64   // of what a full one holds; more than that is a debt
	at    time.Time // when that was taken
}

// take takes n from a bucket that holds so much when it is full, and gets rate back each second. It
// returns how long that takes to make up for what was taken beyond what it held; 0 for nothing.
func (b *bucket) take(n, holds, rate float64, now time.Time) time.Duration {
	b.taken = max(0, b.taken-now.Sub(b.at).Seconds()*rate) + n
	b.at = now
	if b.taken <= holds {
		return 0
	}
	return time.Duration((b.taken - holds) / rate * float64(time.Second))
}
