// Package console is the server's admin API, over HTTP: what people and scripts
// ask it. It reads copies, and changes nothing but by sending the loop a command.
package console

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/waxwing-xds/waxwing/internal/control"
)

// Handler serves the admin API:
//
//	GET /v1/status  the fleets and the connected proxies, as control.Status
//	GET /v1/events  what happens from now on, a control.Record a line (NDJSON)
//	GET /v1/history?fleet=NAME  what happened to a fleet, as a list of rollout.Entry
//	GET /v1/diff?fleet=NAME     what its candidate changes, as control.Difference
//	POST /v1/moves              of a list of control.Claim: which proxies would change fleets, as a list of control.Move
//	POST /v1/commands           carries a control.Command out; 409 and why where it is refused
//	GET /healthz    200 while the server runs
//	GET /readyz     200 once there is a revision to serve, else 503
//	GET /metrics    figures for Prometheus, all named waxwing_… but Go's own
func Handler(log *slog.Logger, c *control.Control) http.Handler {
	h := &handler{log: log, control: c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", h.status)
	mux.HandleFunc("GET /v1/events", h.events)
	mux.HandleFunc("GET /v1/history", h.history)
	mux.HandleFunc("GET /v1/diff", h.diff)
	mux.HandleFunc("POST /v1/moves", h.moves)
	mux.HandleFunc("POST /v1/commands", h.command)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", h.ready)
	mux.Handle("GET /metrics", metrics(log, c.XDS.Stats, c.Status))
	return mux
}

type handler struct {
	log     *slog.Logger
	control *control.Control
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	status, err := h.control.Status(r.Context())
	h.answer(w, status, err)
}

func (h *handler) history(w http.ResponseWriter, r *http.Request) {
	entries, err := h.control.History(r.Context(), r.URL.Query().Get("fleet"))
	h.answer(w, entries, err)
}

func (h *handler) diff(w http.ResponseWriter, r *http.Request) {
	difference, err := h.control.Diff(r.Context(), r.URL.Query().Get("fleet"))
	h.answer(w, difference, err)
}

// moves answers a question, and changes nothing.
func (h *handler) moves(w http.ResponseWriter, r *http.Request) {
	var claims []control.Claim
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxClaims))
	d.DisallowUnknownFields()
	if err := d.Decode(&claims); err != nil {
		http.Error(w, "not a list of claims: "+err.Error(), http.StatusBadRequest)
		return
	}
	moves, err := h.control.Preview(r.Context(), claims)
	h.answer(w, moves, err)
}

// maxClaims is the size of a question about moves, in bytes.
const maxClaims = 4 << 20

func (h *handler) answer(w http.ResponseWriter, value any, err error) {
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		h.log.Debug("an answer did not reach who asked", "error", err)
	}
}

// maxCommand is the size of a command, in bytes.
const maxCommand = 64 << 10

func (h *handler) command(w http.ResponseWriter, r *http.Request) {
	// A page in someone's browser can send a form here, but not JSON.
	if r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "a command is JSON (Content-Type: application/json)", http.StatusUnsupportedMediaType)
		return
	}
	var command control.Command
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCommand))
	d.DisallowUnknownFields()
	if err := d.Decode(&command); err != nil {
		http.Error(w, "not a command: "+err.Error(), http.StatusBadRequest)
		return
	}
	if err := h.control.Do(r.Context(), command); err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func statusOf(err error) int {
	if errors.Is(err, control.ErrRefused) {
		return http.StatusConflict
	}
	return http.StatusServiceUnavailable
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
