package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/control"
)

// The sizes of what is read, in bytes.
const (
	maxCommand = 64 << 10
	maxClaims  = 1 << 20
)

// known refuses parameters that a question does not have: ?flet=edge would else be
// answered with every fleet's.
func known(r *http.Request, params []string) error {
	if !strings.HasPrefix(r.URL.Path, "/v1/") { // health checks
		return nil
	}
	for name := range r.URL.Query() {
		if !slices.Contains(params, name) {
			return api.NewError(api.CodeInvalid, fmt.Sprintf("%s has no parameter %q", r.URL.Path, name))
		}
	}
	return nil
}

// limitOf is the parameter of how many proxies are wanted.
func limitOf(r *http.Request, otherwise, least int) (int, error) {
	query := r.URL.Query()
	if !query.Has(api.ParamLimit) {
		return otherwise, nil
	}
	n, err := strconv.Atoi(query.Get(api.ParamLimit))
	if err != nil || n < least || n > api.MaxLimit {
		return 0, api.NewError(api.CodeInvalid, fmt.Sprintf("%s: %q is not a number from %d to %d", api.ParamLimit, query.Get(api.ParamLimit), least, api.MaxLimit))
	}
	return n, nil
}

// isJSON refuses what does not say that it is: a page in someone's browser can send a form
// here, but not JSON.
func isJSON(r *http.Request, what string) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return api.NewError(api.CodeNotJSON, what+" is JSON (Content-Type: application/json)")
	}
	return nil
}

// read reads what was sent with a question.
func read(r *http.Request, most int64, what string, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, most))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return api.NewError(api.CodeTooLarge, fmt.Sprintf("%s is no larger than %d bytes", what, most))
	}
	if err != nil {
		return api.NewError(api.CodeInvalid, fmt.Sprintf("not %s: %v", what, err))
	}
	return nil
}

// refuse answers with an error.
func (h *handler) refuse(w http.ResponseWriter, err error) {
	e := errorOf(err)
	h.write(w, e.Status, api.ErrorType, e)
}

// errorOf is an error as it goes over the wire.
func errorOf(err error) *api.Error {
	var already *api.Error
	var noFleet *control.NoFleetError
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &noFleet):
		return api.NewError(api.CodeNotFound, err.Error())
	case errors.Is(err, control.ErrNoRecord):
		return api.NewError(api.CodeInvalid, err.Error())
	case errors.Is(err, control.ErrRefused):
		return api.NewError(api.CodeRefused, err.Error())
	}
	return api.NewError(api.CodeUnavailable, err.Error())
}

func (h *handler) write(w http.ResponseWriter, status int, kind string, value any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		h.log.Debug("an answer did not reach who asked", "error", err)
	}
}
