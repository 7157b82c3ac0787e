package xds

import (
	"maps"
	"slices"
)

// Proxies are all that are connected, by node id.
func (s *Server) Proxies() []ProxyStatus {
	s.mu.Lock()
	ids := slices.Sorted(maps.Keys(s.proxies))
	s.mu.Unlock()
	return s.ProxiesOf(ids)
}
