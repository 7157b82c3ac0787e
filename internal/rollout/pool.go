package rollout

import (
	"cmp"
	"container/heap"
	"slices"
)

// A pool is who a stage can take that is a part of the fleet. It is kept up to
// date proxy by proxy: to count them all when one comes would take the longer the
// more have come, which ten thousand that join a stage would wait for half a minute.
type pool struct {
	matching int // connected proxies that the stage is for
	seats    int // members that count towards its size
	own      int // those of them that it has brought in itself
	free     queue
	queued   map[string]bool // who is in free, though it may have left since
}

// newPool counts the proxies once.
func (s *step) newPool() *pool {
	p := &pool{queued: map[string]bool{}}
	for node := range s.proxies {
		p.add(s, node, 1)
	}
	for node := range s.Rollout.Members {
		if s.proxies[node] == nil {
			p.add(s, node, 1)
		}
	}
	return p
}

// add counts a proxy, or takes that back before it changes.
func (p *pool) add(s *step, node string, by int) {
	r, known := s.Rollout, s.proxies[node]
	matches := s.eligible(node)
	at, member := r.Members[node]
	if matches {
		p.matching += by
	}
	if member && !s.client(node) && (matches || known == nil && at == r.Stage) { // one that is away keeps its place
		p.seats += by
		if at == r.Stage {
			p.own += by
		}
	}
	if by > 0 && matches && !member && !p.queued[node] {
		p.queued[node] = true
		at := s.rank(node)
		if s.Opened[node] != "" {
			at = 0 // it has been tried on this one: no other is harmed
		}
		heap.Push(&p.free, ranked{at, node})
	}
}

// fill enlists proxies until the stage has its size, and one of its own at least, those with the lowest rank
// first: the same ones for every revision.
func (p *pool) fill(s *step) (enlisted []string) {
	r := s.Rollout
	stage := r.stage()
	for (stage.size(p.matching) > p.seats || p.own == 0) && len(p.free) > 0 {
		node := heap.Pop(&p.free).(ranked).node
		delete(p.queued, node)
		if _, member := r.Members[node]; member || !s.eligible(node) {
			continue
		}
		s.enlist(node)
		if !s.client(node) {
			p.seats++
			p.own++
		}
		enlisted = append(enlisted, node)
	}
	if len(enlisted) > 0 {
		s.do(Store{})
	}
	slices.Sort(enlisted)
	return enlisted
}

// eligible is whether the stage is for a connected proxy.
func (s *step) eligible(node string) bool {
	p := s.proxies[node]
	return p != nil && s.Rollout.stage().matches(p.attributes) && !s.refusing[node] && p.trouble == nil && s.takes(node) && !s.bare(node)
}

// recount has a change of a proxy shown in the pool.
func (s *step) recount(node string, change func()) {
	r := s.Rollout
	if r == nil || r.pool == nil {
		change()
		return
	}
	r.pool.add(s, node, -1)
	change()
	r.pool.add(s, node, 1)
}

// ranked is a proxy with its place in the order.
type ranked struct {
	rank uint64
	node string
}

// queue is a heap of them, the lowest first.
type queue []ranked

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].rank, q[j].rank), cmp.Compare(q[i].node, q[j].node)) < 0
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(ranked)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
