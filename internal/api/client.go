package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultTimeout is how long a question may take, following events apart. Reading ten
// thousand proxies takes a busy server about a second.
const DefaultTimeout = 10 * time.Second

// Client asks a server. Its errors are, for errors.Is:
//
//   - ErrNoServer: there is none, or it did not answer in time (context.DeadlineExceeded, too);
//   - ErrNotFound: it has no such fleet;
//   - ErrNotAllowed: who asks may not, or has not proven who they are;
//   - ErrRefused: a command was not carried out;
//   - ErrUnavailable: it can't say now: too many ask it, say;
//   - context.Canceled: who asked has given up.
//
// Any other answer that is not what was asked for is an *Error. It is safe for use by
// several goroutines.
type Client struct {
	address string
	base    string
	http    *http.Client
	timeout time.Duration
	token   string
	exposed bool // others could read what is sent
}

// Access is how a client proves who it is, and knows the server. Neither counts at a Unix socket.
type Access struct {
	Token string      // a bearer token
	TLS   *tls.Config // nil: plain text
}

// New makes a client of the server at an address: HOST:PORT, or unix:PATH for a Unix
// domain socket. Of several it is the first where somebody listens, each time anew. Nothing
// is connected yet.
func New(addresses ...string) *Client { return NewWith(Access{}, addresses...) }

// NewWith makes one that proves who it is. It has no token sent in plain text to another machine:
// that is an error of each question.
func NewWith(access Access, addresses ...string) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.IdleConnTimeout = 30 * time.Second // servers and their clients come and go in tests
	transport.TLSClientConfig = access.TLS
	c := &Client{address: strings.Join(addresses, " or "), base: "http://localhost", http: &http.Client{Transport: transport}, timeout: DefaultTimeout, token: access.Token}
	for _, address := range addresses {
		switch {
		case isSocket(address):
		case access.TLS != nil:
			c.base = "https://" + address
		default:
			c.base = "http://" + address
			c.exposed = c.exposed || !onLoopback(address)
		}
	}
	if slices.ContainsFunc(addresses, isSocket) {
		transport.Proxy = nil
		transport.DialContext = places(addresses).dial
		transport.DialTLSContext = places(addresses).secure(access.TLS)
	}
	return c
}

// Address is the server's, or all those where it is looked for.
func (c *Client) Address() string { return c.address }

// WithTimeout is the client with another patience for each question.
func (c *Client) WithTimeout(d time.Duration) *Client {
	other := *c
	other.timeout = d
	return &other
}

// Close gives idle connections up. A client that is dropped without it gives them up
// after half a minute.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// History is what happened to a fleet, the oldest first; "" is the only one.
func (c *Client) History(ctx context.Context, fleet string) (entries []Entry, err error) {
	err = c.get(ctx, PathHistory, url.Values{ParamFleet: {fleet}}, &entries)
	return entries, err
}

// Diff is what a fleet's candidate changes; "" is the only fleet.
func (c *Client) Diff(ctx context.Context, fleet string) (d Difference, err error) {
	err = c.get(ctx, PathDiff, url.Values{ParamFleet: {fleet}}, &d)
	return d, err
}

// Moves says which connected proxies would change fleets if these files were served.
func (c *Client) Moves(ctx context.Context, claims []Claim) (moves []Move, err error) {
	err = c.call(ctx, http.MethodPost, PathMoves, claims, &moves)
	return moves, err
}

// Do has a command carried out. It is when this returns nil.
func (c *Client) Do(ctx context.Context, command Command) error {
	// A command goes over a connection of its own: one that was kept from before a restart
	// of the server would fail, and a command is not tried twice.
	c.http.CloseIdleConnections()
	return c.call(ctx, http.MethodPost, PathCommands, command, nil)
}

// Healthy is nil while the server runs.
func (c *Client) Healthy(ctx context.Context) error { return c.get(ctx, PathHealth, nil, nil) }

// Ready is nil once the server has a revision to serve.
func (c *Client) Ready(ctx context.Context) error { return c.get(ctx, PathReady, nil, nil) }

// Metrics are the server's figures, in Prometheus' text format.
func (c *Client) Metrics(ctx context.Context) (text string, err error) {
	err = c.get(ctx, PathMetrics, nil, &text)
	return text, err
}

func (c *Client) get(ctx context.Context, path string, query url.Values, reply any) error {
	if query != nil {
		path += "?" + query.Encode()
	}
	return c.call(ctx, http.MethodGet, path, nil, reply)
}

// call asks. send, if not nil, is sent as JSON; what comes back is read into reply, if
// that is not nil: a *string takes it as it is, anything else as JSON.
func (c *Client) call(ctx context.Context, method, path string, send, reply any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var body io.Reader
	if send != nil {
		data, err := json.Marshal(send)
		if err != nil {
			return fmt.Errorf("asking xds: %w", err)
		}
		body = bytes.NewReader(data)
	}
	resp, err := c.open(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	if err := read(resp.Body, reply); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", c.address, err)
	}
	return nil
}

func read(body io.Reader, reply any) error {
	switch reply := reply.(type) {
	case nil:
		return nil
	case *string:
		text, err := io.ReadAll(body)
		*reply = string(text)
		return err
	default:
		return json.NewDecoder(body).Decode(reply)
	}
}

// open asks, and returns an answer that is what was asked for. Its body is to be closed.
func (c *Client) open(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("the admin API's address %q: %w", c.address, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		if c.exposed {
			return nil, fmt.Errorf("xds at %s: %w", c.address, errExposed)
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	switch cause := context.Cause(ctx); {
	case err == nil:
	case errors.Is(cause, context.Canceled): // who asked does not want to know any more
		return nil, fmt.Errorf("asking xds at %s: %w", c.address, cause)
	case cause != nil: // it took too long
		return nil, &NoServerError{c.address, cause}
	default:
		return nil, &NoServerError{c.address, err}
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNoContent {
		return resp, nil
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	return nil, fmt.Errorf("xds at %s: %w", c.address, errorOf(resp))
}

// maxError is how much of an answer is read that is no Error, in bytes.
const maxError = 64 << 10

// errorOf reads an Error; what something else than this API says is one without a code.
func errorOf(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	out := &Error{}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // "" is no ErrorType
	if kind != ErrorType || json.Unmarshal(text, out) != nil {
		out.Detail = strings.TrimSpace(string(text[:min(1000, len(text))]))
	}
	out.Status = resp.StatusCode
	if out.Title == "" {
		out.Title = http.StatusText(resp.StatusCode)
	}
	return out
}

// limit is a limit as a parameter.
func limit(n int) string { return strconv.Itoa(n) }
