// Package console serves the admin API, over HTTP: what people and scripts ask the
// server. It reads copies, and changes nothing but by sending the loop a command. What
// goes over the wire is in package api, and the loop answers in its types.
package console

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/access"
	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control"
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

// An endpoint is a path of the API: how it is asked, by whom, and what answers.
type endpoint struct {
	path, method string
	role         api.Role
	answer       func(*handler) http.HandlerFunc
}

// endpoints are all that there are, but for those of health.
var endpoints = []endpoint{
	{api.PathStatus, http.MethodGet, api.RoleView, answering((*handler).status, api.ParamLimit)},
	{api.PathProxies, http.MethodGet, api.RoleView, answering((*handler).proxies, api.ParamFleet, api.ParamLimit, api.ParamAfter)},
	{api.PathHistory, http.MethodGet, api.RoleView, answering((*handler).history, api.ParamFleet)},
	{api.PathDiff, http.MethodGet, api.RoleView, answering((*handler).diff, api.ParamFleet)},
	{api.PathEvents, http.MethodGet, api.RoleView, func(h *handler) http.HandlerFunc { return h.events }},
	{api.PathMoves, http.MethodPost, api.RoleView, answering((*handler).moves)}, // a question, long as it is
	{api.PathCommands, http.MethodPost, api.RoleOperate, answering((*handler).command)},
}

// health are those that anyone may ask, where they have an address of their own.
var health = []endpoint{
	{api.PathHealth, http.MethodGet, api.RoleView, answering(func(*handler, context.Context, *http.Request) (any, error) { return nil, nil })},
	{api.PathReady, http.MethodGet, api.RoleView, answering((*handler).ready)},
	{api.PathMetrics, http.MethodGet, api.RoleView, (*handler).metrics},
}

// Handler serves the admin API: the paths are in package api, and docs/operating.md tells
// users of them. Every answer that is not what was asked for is an api.Error. Who asks is in
// the context of a request, as an access.Guard puts it there.
func Handler(log *slog.Logger, loop Loop, stats func() xds.Stats) http.Handler {
	h, mux := newHandler(log, loop, stats)
	for _, e := range slices.Concat(endpoints, health) {
		mux.Handle(e.path, h.allowed(e, h.only(e.method, e.answer(h))))
	}
	return mux
}

// Health serves what is for health checks and Prometheus alone: it says nothing of what the
// fleets have but their names and figures, and anyone may ask.
func Health(log *slog.Logger, loop Loop, stats func() xds.Stats) http.Handler {
	h, mux := newHandler(log, loop, stats)
	for _, e := range health {
		mux.Handle(e.path, h.only(e.method, e.answer(h)))
	}
	return mux
}

func newHandler(log *slog.Logger, loop Loop, stats func() xds.Stats) (*handler, *http.ServeMux) {
	h := &handler{log: log, loop: loop, stats: stats, followers: make(chan struct{}, maxFollowers)}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.refuse(w, api.NewError(api.CodeNotFound, "there is no "+r.URL.Path))
	})
	return h, mux
}

// allowed lets those through who have the role.
func (h *handler) allowed(e endpoint, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c := access.CallerOf(r.Context()); !c.Role.May(e.role) {
			c.Refused()
			h.refuse(w, api.NewError(api.CodeForbidden, fmt.Sprintf("%s is for the role %s, and %s has the role %s", e.path, e.role, c, cmp.Or(string(c.Role), "none"))))
			return
		}
		next(w, r)
	}
}

type handler struct {
	log       *slog.Logger
	loop      Loop
	stats     func() xds.Stats
	followers chan struct{} // has a token for each who follows the events
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

// answering is what answers a question.
func answering(answer func(*handler, context.Context, *http.Request) (any, error), params ...string) func(*handler) http.HandlerFunc {
	return func(h *handler) http.HandlerFunc {
		return h.answers(func(ctx context.Context, r *http.Request) (any, error) { return answer(h, ctx, r) }, params)
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
	return nil, h.loop.Do(control.From(ctx, access.CallerOf(ctx).Source()), command)
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
