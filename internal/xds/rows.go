package xds

// There is one row for each node id of which there is something to know: a stream of it, of
// whatever kind and in whatever order they come, what it is to be asked, or what it refused.
// Of ids that have nothing but refusals, which may be new ones each time, only so many are
// kept.

// maxAbsent is of how many proxies that have left it is remembered what they refused.
// One that is forgotten is sent it once more if it comes back, and refuses it again.
const maxAbsent = 5000

// proxyOf finds or makes the proxy with a node id, and locks it.
func (s *Server) proxyOf(nodeID string) *proxy {
	for {
		s.mu.Lock()
		p := s.proxies[nodeID]
		if p == nil {
			p = &proxy{server: s, id: nodeID}
			s.proxies[nodeID] = p
		}
		s.mu.Unlock()
		p.mu.Lock()
		if !p.gone {
			p.present()
			return p
		}
		p.mu.Unlock() // its last stream ended just now
	}
}

// present notes that there is something of a proxy again. Called with it locked.
func (p *proxy) present() {
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.place != nil {
		s.absent.Remove(p.place)
		p.place = nil
	}
}

// vacate takes a proxy off the table, or remembers it as absent, if nothing hangs on it any
// more. Called with it locked, when something of it has ended; forgetSome is to follow.
func (p *proxy) vacate() {
	if len(p.sessions) > 0 || p.voices.any() {
		return
	}
	s := p.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.gone = len(p.rejected) == 0; p.gone {
		delete(s.proxies, p.id)
	} else if p.place == nil {
		p.place = s.absent.PushBack(p)
	}
}

// forgetSome takes those off the table that have been away for longest, while there are too
// many. Called with nothing locked.
func (s *Server) forgetSome() {
	for {
		s.mu.Lock()
		if s.absent.Len() <= maxAbsent {
			s.mu.Unlock()
			return
		}
		oldest := s.absent.Front().Value.(*proxy)
		s.mu.Unlock()
		oldest.forget()
	}
}

func (p *proxy) forget() {
	s := p.server
	p.mu.Lock()
	defer p.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.place == nil { // it has just come back, or was forgotten
		return
	}
	s.absent.Remove(p.place)
	p.place, p.gone = nil, true
	delete(s.proxies, p.id)
}
