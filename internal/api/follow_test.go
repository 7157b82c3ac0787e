package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// streams is a client whose streams of events each are written by write, in turn.
func streams(asked *[]string, write func(stream int, w *io.PipeWriter)) *Client {
	c := New("127.0.0.1:1")
	c.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		*asked = append(*asked, r.URL.RequestURI())
		out, in := io.Pipe()
		go write(len(*asked), in)
		return &http.Response{StatusCode: http.StatusOK, Body: out, Request: r}, nil
	})
	return c
}

// Follow goes on behind the last event that it saw, and tells of each loss.
func TestFollowGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, seen, lost []string
		c := streams(&asked, func(stream int, w *io.PipeWriter) {
			e := json.NewEncoder(w)
			switch stream {
			case 1:
				_, _ = e.Encode(Event{ID: "1", Kind: EventNoticed}), e.Encode(Event{ID: "2", Kind: EventStarted})
				w.CloseWithError(io.ErrUnexpectedEOF) // the server is gone
			case 2:
				w.Close() // and takes nobody yet
			case 3:
				_ = e.Encode(Event{ID: "3", Kind: EventServing})
			}
		})
		began := time.Now()
		for e := range c.Follow(t.Context(), func(err error) {
			if !errors.Is(err, ErrEnded) {
				t.Errorf("it was lost by %v", err)
			}
			lost = append(lost, time.Since(began).String())
		}) {
			if seen = append(seen, string(e.Kind)); e.Kind == EventServing {
				break
			}
		}
		if want := []string{"/v1/events", "/v1/events?after=2", "/v1/events?after=2"}; !slices.Equal(asked, want) {
			t.Errorf("asked %q", asked)
		}
		if want := []string{"noticed", "started", "serving"}; !slices.Equal(seen, want) {
			t.Errorf("saw %q", seen)
		}
		if want := []string{"0s", "1s"}; !slices.Equal(lost, want) {
			t.Errorf("lost it at %q", lost)
		}
	})
}

// Follow ends with its context, also while it waits for an event, and says nothing then.
func TestFollowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var asked []string
		c := streams(&asked, func(_ int, w *io.PipeWriter) {
			<-ctx.Done()
			w.CloseWithError(ctx.Err())
		})
		for range c.Follow(ctx, func(err error) { t.Errorf("told of %v", err) }) {
			t.Error("there is no event")
		}
	})
}

// What is no event ends a stream with an error.
func TestStreamOfSomethingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		s, err := streams(&asked, func(_ int, w *io.PipeWriter) {
			_, _ = w.Write([]byte("<html>"))
			w.Close()
		}).Events(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Next(); err == nil || errors.Is(err, ErrEnded) {
			t.Errorf("an event: %v", err)
		}
	})
}
