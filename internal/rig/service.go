package rig

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// A Service is behind the proxies. It keeps its address when it stops and starts again.
type Service struct {
	Address string
	handler http.Handler
	server  *http.Server
}

// Welcome is what Echo answers.
const Welcome = "Welcome to WASM land\n"

// Echo answers every request alike, and says in x-token-seen whether a token came along.
func Echo() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Token-Seen", strconv.FormatBool(r.Header.Get("Token") != ""))
		fmt.Fprint(w, Welcome)
	})
}

// StartService runs one, at an address that is free.
func StartService(handler http.Handler) (*Service, error) {
	s := &Service{Address: "127.0.0.1:0", handler: handler}
	return s, s.Start()
}

// Start has it answer again.
func (s *Service) Start() error {
	l, err := net.Listen("tcp", s.Address) //nolint:noctx // it does not wait for anything
	if err != nil {
		return fmt.Errorf("the service: %w", err)
	}
	s.Address = l.Addr().String()
	s.server = &http.Server{Handler: s.handler, ReadHeaderTimeout: time.Minute}
	go s.server.Serve(l) //nolint:errcheck // ends with Stop
	return nil
}

// Stop ends it, and its connections.
func (s *Service) Stop() { _ = s.server.Close() }
