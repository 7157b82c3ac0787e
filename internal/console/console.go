// Package console is the server's admin API, over HTTP: what people and scripts
// ask it. It reads copies and changes nothing.
package console

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/waxwing-xds/waxwing/internal/control"
)

// Handler serves the admin API:
//
//	GET /v1/status  the fleets and the connected proxies, as control.Status
//	GET /v1/events  what happens from now on, a control.Record a line (NDJSON)
//	GET /healthz    200 while the server runs
//	GET /readyz     200 once there is a revision to serve, else 503
func Handler(log *slog.Logger, c *control.Control) http.Handler {
	h := &handler{log: log, control: c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", h.status)
	mux.HandleFunc("GET /v1/events", h.events)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", h.ready)
	return mux
}

type handler struct {
	log     *slog.Logger
	control *control.Control
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	status, err := h.control.Status(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(status); err != nil {
		h.log.Debug("the status did not reach who asked", "error", err)
	}
}

func (h *handler) ready(w http.ResponseWriter, r *http.Request) {
	status, err := h.control.Status(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	for _, f := range status.Fleets {
		if f.Serving.ID != "" || f.Candidate.ID != "" {
			w.WriteHeader(http.StatusOK)
			return
		}
	}
	http.Error(w, "there is no revision to serve yet", http.StatusServiceUnavailable)
}

func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	records, stop := h.control.Subscribe()
	defer stop()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	for err := flush.Flush(); err == nil; err = flush.Flush() {
		select {
		case record, ok := <-records:
			if !ok { // too slow
				return
			}
			if err := json.NewEncoder(w).Encode(record); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
