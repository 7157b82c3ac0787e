package rig

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// An Answer is what a proxy said to a request.
type Answer struct {
	Status int
	Body   string
	Header http.Header
}

// Briefly is a client that makes a connection for each request, and waits for 10 s.
var Briefly = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

// Ask sends a request to an address, with headers by name and value, on a connection of
// its own.
func Ask(ctx context.Context, address string, header ...string) (Answer, error) {
	req, err := Request(ctx, "http://"+address+"/", header...)
	if err != nil {
		return Answer{}, err
	}
	return Do(Briefly, req)
}

// Request is one with headers by name and value.
func Request(ctx context.Context, url string, header ...string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req, nil
}

// Do has a client ask.
func Do(client *http.Client, req *http.Request) (Answer, error) {
	resp, err := client.Do(req) //nolint:gosec // to proxies of this machine
	if err != nil {
		return Answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, string(body), resp.Header}, errors.Join(err, resp.Body.Close())
}
