package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Stream is the events of a server as they happen.
type Stream struct {
	end     func()
	decoder *json.Decoder
	address string
}

// ErrEnded is that a server ended a stream of events: it has ended itself, or the stream
// was read too slowly.
var ErrEnded = errors.New("the events ended")

// Events opens a stream of what happens from now on: once this has returned, nothing is
// missed. With after, the ID of an Event, it begins with what has happened since that,
// as far as the server knows. It lasts until Close, or for as long as the context.
func (c *Client) Events(ctx context.Context, after string) (*Stream, error) {
	path := PathEvents
	if after != "" {
		path += "?" + url.Values{ParamAfter: {after}}.Encode()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	slow := time.AfterFunc(c.timeout, func() { cancel(context.DeadlineExceeded) })
	resp, err := c.open(ctx, http.MethodGet, path, nil)
	if err != nil {
		slow.Stop()
		cancel(nil)
		return nil, err
	}
	end := func() { cancel(nil); _ = resp.Body.Close() } // nothing was written
	if !slow.Stop() {
		end()
		return nil, &NoServerError{c.address, context.DeadlineExceeded}
	}
	return &Stream{end, json.NewDecoder(bufio.NewReader(resp.Body)), c.address}, nil
}

// Next waits for an event.
func (s *Stream) Next() (Event, error) {
	var e Event
	if err := s.decoder.Decode(&e); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = ErrEnded
		}
		return e, fmt.Errorf("following xds at %s: %w", s.address, err)
	}
	return e, nil
}

// Close ends the stream. A Next that waits returns an error.
func (s *Stream) Close() { s.end() }

// retryAfter is how long Follow waits before it asks a server again that is gone.
const retryAfter = time.Second

// Follow is what happens for as long as the context lasts, over losses of the server:
// it is asked again, and goes on behind the last event that was seen. Each loss is
// told, if tell is not nil.
func (c *Client) Follow(ctx context.Context, tell func(error)) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for last := ""; ctx.Err() == nil; pause(ctx, retryAfter) {
			more, err := c.followOnce(ctx, &last, yield)
			if !more {
				return
			}
			if tell != nil && ctx.Err() == nil {
				tell(err)
			}
		}
	}
}

// followOnce yields events until the stream ends, or no more are wanted.
func (c *Client) followOnce(ctx context.Context, last *string, yield func(Event) bool) (more bool, err error) {
	stream, err := c.Events(ctx, *last)
	if err != nil {
		return true, err
	}
	defer stream.Close()
	for {
		e, err := stream.Next()
		if err != nil {
			return true, err
		}
		*last = e.ID
		if !yield(e) {
			return false, nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
