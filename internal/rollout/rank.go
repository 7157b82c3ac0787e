package rollout

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/fnv"
)

// Stages take proxies in the order of their ranks. A rank is a hash of the node id and of the
// fleet's salt, which nobody but the server knows: a client that chooses its node id can't choose
// to be the canary by it, and so can't be the one whose word a revision stands or falls by.

// SetSalt has the ranks of rollouts that begin from now on go by a salt. One that is under way
// goes on by the ranks with which it began: else its next stage would be made of others than it
// was said to be.
func (f *Fleet) SetSalt(salt string) {
	f.salt = salt
	for node, p := range f.proxies {
		p.rank = rankBy(salt, node)
	}
}

// by notes whether a rollout that begins goes by a salt.
func (r *Rollout) by(salt string) *Rollout {
	r.Salted = salt != ""
	return r
}

// rank is a connected proxy's place in the order in which stages take proxies.
func (f *Fleet) rank(node string) uint64 {
	if r := f.Rollout; r != nil && !r.Salted {
		return rankBy("", node)
	}
	return f.proxies[node].rank
}

// rankBy is a rank by a salt; without one it is that of servers which had none.
func rankBy(salt, node string) uint64 {
	if salt != "" {
		sum := sha256.Sum256([]byte(salt + "\x00" + node))
		return binary.BigEndian.Uint64(sum[:])
	}
	h := fnv.New64a()
	h.Write([]byte(node))
	// FNV leaves ids that differ in their last letter close together.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}
