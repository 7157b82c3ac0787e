package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// handled is a client whose questions a handler answers, without a network.
func handled(h http.HandlerFunc) *Client {
	c := New("127.0.0.1:1")
	c.http.Transport = transport(h)
	return c
}

type transport http.HandlerFunc

func (h transport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil { // as a server has it
		r.Body = http.NoBody
	}
	h(w, r)
	return w.Result(), nil
}

// Each question goes where it belongs, and its answer is read.
func TestQuestions(t *testing.T) {
	body, ctx := "", t.Context()
	asked := func(answer string, ask func(*Client) (any, error)) (string, any) {
		t.Helper()
		question := ""
		got, err := ask(handled(func(w http.ResponseWriter, r *http.Request) {
			data, _ := io.ReadAll(r.Body)
			question, body = r.Method+" "+r.URL.RequestURI(), string(data)
			fmt.Fprint(w, answer)
		}))
		if err != nil {
			t.Errorf("%s: %v", question, err)
		}
		return question, got
	}
	for want, ask := range map[string]func(*Client) (any, error){
		`GET /v1/history?fleet=a+b [{"kind":"started"}]`: func(c *Client) (any, error) { return c.History(ctx, "a b") },
		`GET /v1/diff?fleet= {"serving":{"id":"x"}}`:     func(c *Client) (any, error) { return c.Diff(ctx, "") },
		`POST /v1/moves [{"from":"a","to":"b"}]`:         func(c *Client) (any, error) { return c.Moves(ctx, []Claim{{Fleet: "b"}}) },
		`GET /v1/status?limit=0 {"unsettled":true}`:      func(c *Client) (any, error) { return c.Fleets(ctx) },
		`GET /v1/status?limit=2000 {"fleets":[]}`:        func(c *Client) (any, error) { return c.Status(ctx) },
		`GET /v1/proxies?after=a%2Fb&fleet=x&limit=7 {"proxies":[{"node":"n"}]}`: func(c *Client) (any, error) {
			return c.ProxyPage(ctx, ProxyQuery{Fleet: "x", After: "a/b", Limit: 7})
		},
		`GET /metrics up 1`: func(c *Client) (any, error) { return c.Metrics(ctx) },
		`GET /healthz `:     func(c *Client) (any, error) { return nil, c.Healthy(ctx) },
		`GET /readyz `:      func(c *Client) (any, error) { return nil, c.Ready(ctx) },
	} {
		parts := strings.SplitN(want, " ", 3)
		question, got := asked(parts[2], ask)
		if question != parts[0]+" "+parts[1] {
			t.Errorf("%s: asked %s", want, question)
		}
		if text, ok := got.(string); ok && text != parts[2] || !ok && got != nil && reflect.ValueOf(got).IsZero() {
			t.Errorf("%s: got %v", want, got)
		}
	}
	asked("", func(c *Client) (any, error) { return nil, c.Do(ctx, Command{Fleet: "edge", Verb: VerbUndo, To: 3}) })
	var command Command
	if err := json.Unmarshal([]byte(body), &command); err != nil || command != (Command{Fleet: "edge", Verb: VerbUndo, To: 3}) {
		t.Errorf("a command is sent as %s (%v)", body, err)
	}
}

// What is wrong can be told apart, by programs and by people.
func TestErrors(t *testing.T) {
	problem := func(e *Error) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", ErrorType+"; charset=utf-8")
			w.WriteHeader(e.Status)
			_ = json.NewEncoder(w).Encode(e)
		}
	}
	for _, test := range []struct {
		handler http.HandlerFunc
		is      error
		text    string
	}{
		{problem(NewError(CodeRefused, "refused: it is paused")), ErrRefused, "xds at 127.0.0.1:1: 409 Conflict: refused: it is paused"},
		{problem(NewError(CodeNotFound, `there is no fleet "x"`)), ErrNotFound, `xds at 127.0.0.1:1: 404 Not Found: there is no fleet "x"`},
		{problem(NewError(CodeUnavailable, "later")), ErrUnavailable, "xds at 127.0.0.1:1: 503 Service Unavailable: later"},
		// Something else listens there.
		{http.NotFound, nil, "xds at 127.0.0.1:1: 404 Not Found: 404 page not found"},
		{func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, nil, "reading the answer of 127.0.0.1:1: invalid character"},
	} {
		_, err := handled(test.handler).Diff(t.Context(), "x")
		for _, is := range []error{ErrRefused, ErrNotFound, ErrNoServer, ErrUnavailable} {
			if errors.Is(err, is) != errors.Is(test.is, is) {
				t.Errorf("%v: is %v: %t", err, is, errors.Is(err, is))
			}
		}
		if err == nil || !strings.HasPrefix(err.Error(), test.text) {
			t.Errorf("got %v, want %s", err, test.text)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	c := New("unix:" + filepath.Join(t.TempDir(), "none"))
	if _, err := c.Status(t.Context()); !errors.Is(err, ErrNoServer) || !strings.HasPrefix(err.Error(), "no xds answers at unix:") {
		t.Errorf("without a server: %v", err)
	}
	if _, err := c.Events(t.Context(), ""); !errors.Is(err, ErrNoServer) {
		t.Errorf("without a server there are no events, but: %v", err)
	}
	if _, err := New("no address").Status(t.Context()); err == nil || errors.Is(err, ErrNoServer) {
		t.Errorf("an address that is none: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoServer) {
		t.Errorf("who has given up is told %v", err)
	}
}

// A server that takes a question and does not answer is not waited for.
func TestNoAnswerInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New("127.0.0.1:1").WithTimeout(3 * time.Second)
		c.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		for what, ask := range map[string]func() error{
			"a question": func() error { _, err := c.Diff(t.Context(), ""); return err },
			"following":  func() error { _, err := c.Events(t.Context(), ""); return err },
		} {
			began := time.Now()
			if err := ask(); !errors.Is(err, ErrNoServer) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", what, err)
			}
			if took := time.Since(began); took != 3*time.Second {
				t.Errorf("%s took %s", what, took)
			}
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A Unix socket is an address like another.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xds.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })}
	go server.Serve(l)
	defer server.Close()
	c := New("unix:" + path)
	defer c.Close()
	if text, err := c.Metrics(t.Context()); err != nil || text != "/metrics" {
		t.Errorf("%q, %v", text, err)
	}
}
