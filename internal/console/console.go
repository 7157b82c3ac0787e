// Package console serves the admin API, over HTTP: what people and scripts ask the
// server. It reads copies, and changes nothing but by sending the loop a command. What
// goes over the wire is in package api, and the loop answers in its types.
package console

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// A Loop is who knows: a *control.Control, or a test's stand-in. Its errors wrap
// control.ErrRefused, or are a *control.NoFleetError; any other is that it can't say.
type Loop interface {
	Status(ctx context.Context, proxies int) (api.Status, error)
	Proxies(ctx context.Context, pick api.ProxyQuery) (api.ProxyPage, error)
	History(ctx context.Context, fleet string) ([]api.Entry, error)
	Diff(ctx context.Context, fleet string) (api.Difference, error)
	Preview(ctx context.Context, claims []api.Claim) ([]api.Move, error)
	Do(ctx context.Context, command api.Command) error
	Subscribe(after string) (records <-chan api.Event, stop func(), err error)
}

// patience is how long the loop may take for an answer: who asks is told why before they
// give up (api.DefaultTimeout), and a scrape ends.
const patience = 8 * time.Second

// Handler serves the admin API: the paths are in package api, and docs/operating.md tells
// users of them. Every answer that is not what was asked for is an api.Error.
func Handler(log *slog.Logger, loop Loop, stats func() xds.Stats) http.Handler {
	h := &handler{log: log, loop: loop}
	mux := http.NewServeMux()
	get := func(path string, answer answerer, params ...string) {
		mux.Handle(path, h.only(http.MethodGet, h.answers(answer, params)))
	}
	get(api.PathStatus, h.status, api.ParamLimit)
	get(api.PathProxies, h.proxies, api.ParamFleet, api.ParamLimit, api.ParamAfter)
	get(api.PathHistory, h.history, api.ParamFleet)
	get(api.PathDiff, h.diff, api.ParamFleet)
	get(api.PathReady, h.ready)
	get(api.PathHealth, func(context.Context, *http.Request) (any, error) { return nil, nil })
	mux.Handle(api.PathMoves, h.only(http.MethodPost, h.answers(h.moves, nil)))
	mux.Handle(api.PathCommands, h.only(http.MethodPost, h.answers(h.command, nil)))
	mux.Handle(api.PathEvents, h.only(http.MethodGet, h.events))
	mux.Handle(api.PathMetrics, h.only(http.MethodGet, h.metrics(stats)))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.refuse(w, api.NewError(api.CodeNotFound, "there is no "+r.URL.Path))
	})
	return mux
}

type handler struct {
	log  *slog.Logger
	loop Loop
}

// An answerer answers a question: with what is written as JSON, with nil where it is
// enough that there is no error, or with one.
type answerer func(context.Context, *http.Request) (any, error)

// only lets questions of one method through; HEAD is a GET whose answer is not read.
func (h *handler) only(method string, next http.HandlerFunc) http.HandlerFunc {
	allowed := []string{method}
	if method == http.MethodGet {
		allowed = append(allowed, http.MethodHead)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(allowed, r.Method) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			h.refuse(w, api.NewError(api.CodeMethodNotAllowed, r.URL.Path+" is asked by "+method))
			return
		}
		next(w, r)
	}
}

// answers has a question answered in time, and the answer written. params are those that
// it knows.
func (h *handler) answers(answer answerer, params []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		value, err := any(nil), known(r, params)
		if err == nil {
			value, err = answer(ctx, r)
		}
		switch {
		case err != nil:
			h.refuse(w, err)
		case value == nil && r.Method == http.MethodPost:
			w.WriteHeader(http.StatusNoContent)
		case value != nil:
			h.write(w, http.StatusOK, "application/json", value)
		}
	}
}

func (h *handler) status(ctx context.Context, r *http.Request) (any, error) {
	if !r.URL.Query().Has(api.ParamLimit) {
		status, err := everything(ctx, h.loop)
		return status, err
	}
	limit, err := limitOf(r, api.MaxLimit, 0)
	if err != nil {
		return nil, err
	}
	status, err := h.loop.Status(ctx, limit)
	return status, err
}

// everything is the status with all proxies. It is asked for page by page, so that the
// loop does not turn to ten thousand of them at once.
func everything(ctx context.Context, loop Loop) (api.Status, error) {
	status, err := loop.Status(ctx, api.MaxLimit)
	for err == nil && status.Next != "" {
		var page api.ProxyPage
		page, err = loop.Proxies(ctx, api.ProxyQuery{After: status.Next, Limit: api.MaxLimit})
		status.Proxies, status.Next = append(status.Proxies, page.Proxies...), page.Next
	}
	return status, err
}

func (h *handler) proxies(ctx context.Context, r *http.Request) (any, error) {
	limit, err := limitOf(r, api.DefaultLimit, 1)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	page, err := h.loop.Proxies(ctx, api.ProxyQuery{Fleet: query.Get(api.ParamFleet), After: query.Get(api.ParamAfter), Limit: limit})
	return page, err
}

func (h *handler) history(ctx context.Context, r *http.Request) (any, error) {
	return h.loop.History(ctx, r.URL.Query().Get(api.ParamFleet))
}

func (h *handler) diff(ctx context.Context, r *http.Request) (any, error) {
	return h.loop.Diff(ctx, r.URL.Query().Get(api.ParamFleet))
}

// moves answers a question, and changes nothing.
func (h *handler) moves(ctx context.Context, r *http.Request) (any, error) {
	var claims []api.Claim
	if err := read(r, maxClaims, "a list of claims", &claims); err != nil {
		return nil, err
	}
	return h.loop.Preview(ctx, claims)
}

func (h *handler) command(ctx context.Context, r *http.Request) (any, error) {
	var command api.Command
	if err := isJSON(r, "a command"); err != nil {
		return nil, err
	}
	if err := read(r, maxCommand, "a command", &command); err != nil {
		return nil, err
	}
	return nil, h.loop.Do(ctx, command)
}

// ready is for health checks.
func (h *handler) ready(ctx context.Context, _ *http.Request) (any, error) {
	status, err := h.loop.Status(ctx, 0)
	if err != nil {
		return nil, err
	}
	for _, f := range status.Fleets {
		if f.Serving.ID != "" || f.Candidate.ID != "" {
			return nil, nil
		}
	}
	return nil, api.NewError(api.CodeUnavailable, "there is no revision to serve yet")
}
