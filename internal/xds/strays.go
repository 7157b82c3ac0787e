package xds

import (
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// strays are the services that proxies ask this server for and it does not have: those of a
// bootstrap whose lds_config, say, is a stream of its own and not ADS. Such a proxy waits,
// and tries again and again; so it is told what to write, and so is who runs the server,
// once for each method.
type strays struct {
	mu   sync.Mutex
	seen map[string]bool
}

// maxStrays bounds how many methods are remembered, and so logged.
const maxStrays = 32

func (s *Server) unserved(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.Method(stream.Context())
	if s.strays.first(method) {
		s.log.Warn("a proxy asks for a service that this server does not have: it delivers by ADS alone, "+
			"for which a bootstrap says `ads: {}` in lds_config, cds_config and wherever else it has a source", "method", method)
	}
	return status.Errorf(codes.Unimplemented, "%s: this server delivers by ADS alone: write `ads: {}` for the source", method)
}

func (s *strays) first(method string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[method] || len(s.seen) >= maxStrays {
		return false
	}
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[method] = true
	return true
}
