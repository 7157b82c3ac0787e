package api

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is the body of every answer that is not what was asked for: problem details as in
// RFC 9457 (application/problem+json), with a code for programs.
type Error struct {
	Status int    `json:"status"` // of HTTP, once more
	Title  string `json:"title"`  // the status in words
	Code   Code   `json:"code"`
	Detail string `json:"detail"` // what is wrong, for people
}

// ErrorType is the Content-Type of an Error.
const ErrorType = "application/problem+json"

// A Code says what kind of Error it is.
type Code string

// The codes, and the HTTP status that each goes with.
const (
	CodeInvalid          Code = "invalid"            // 400: the question can't be read
	CodeUnauthenticated  Code = "unauthenticated"    // 401: who asks has not proven who they are
	CodeForbidden        Code = "forbidden"          // 403: who asks may not
	CodeNotFound         Code = "not_found"          // 404: there is no such path, or no such fleet
	CodeMethodNotAllowed Code = "method_not_allowed" // 405: not to be asked so
	CodeRefused          Code = "refused"            // 409: a command that can't be carried out, and why
	CodeTooLarge         Code = "too_large"          // 413: the question is larger than is read
	CodeNotJSON          Code = "not_json"           // 415: a question that must be JSON, and does not say so
	CodeMisdirected      Code = "misdirected"        // 421: the Host is not this server's
	CodeUnavailable      Code = "unavailable"        // 503: the server can't say, or has nothing to serve yet
)

// statuses are the HTTP statuses of the codes.
var statuses = map[Code]int{
	CodeInvalid:          http.StatusBadRequest,
	CodeUnauthenticated:  http.StatusUnauthorized,
	CodeForbidden:        http.StatusForbidden,
	CodeNotFound:         http.StatusNotFound,
	CodeMethodNotAllowed: http.StatusMethodNotAllowed,
	CodeRefused:          http.StatusConflict,
	CodeTooLarge:         http.StatusRequestEntityTooLarge,
	CodeNotJSON:          http.StatusUnsupportedMediaType,
	CodeMisdirected:      http.StatusMisdirectedRequest,
	CodeUnavailable:      http.StatusServiceUnavailable,
}

// NewError makes an Error of a code.
func NewError(code Code, detail string) *Error {
	status := statuses[code]
	return &Error{Status: status, Title: http.StatusText(status), Code: code, Detail: detail}
}

// What errors of a Client are, for errors.Is.
var (
	ErrNoServer   = errors.New("no server answers")
	ErrRefused    = errors.New("refused")
	ErrNotFound   = errors.New("not found")
	ErrNotAllowed = errors.New("not allowed")
	// ErrUnavailable is that the server can't say now: it is worth asking again.
	ErrUnavailable = errors.New("unavailable")
)

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Title, e.Detail) }

// Is makes an Error one of the above.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrRefused:
		return e.Code == CodeRefused
	case ErrNotFound:
		return e.Code == CodeNotFound
	case ErrNotAllowed:
		return e.Code == CodeForbidden || e.Code == CodeUnauthenticated
	case ErrUnavailable:
		return e.Code == CodeUnavailable
	}
	return false
}

// NoServerError is that no server answers at an address.
type NoServerError struct {
	Address string
	Err     error // why
}

// Error implements error.
func (e *NoServerError) Error() string {
	return fmt.Sprintf("no xds answers at %s (is `xds serve` running? --admin): %v", e.Address, e.Err)
}

// Unwrap gives the cause.
func (e *NoServerError) Unwrap() error { return e.Err }

// Is makes it an ErrNoServer.
func (e *NoServerError) Is(target error) bool { return target == ErrNoServer }
