package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/control"
)

// client asks a running server's admin API.
type client struct{ admin string }

// adminFlag lets a command choose the server: --admin, else XDS_ADMIN.
func (a *app) adminFlag(cmd *cobra.Command) func() client {
	address := cmd.Flags().String("admin", defaultAdmin, "address of the server's admin API (also XDS_ADMIN)")
	return func() client {
		if env := a.getenv(envName("admin")); env != "" && !cmd.Flags().Changed("admin") {
			return client{env}
		}
		return client{*address}
	}
}

// noServerError is that no server answers.
type noServerError struct{ error }

func (e noServerError) Unwrap() error { return e.error }

func (c client) status(ctx context.Context) (control.Status, error) {
	var status control.Status
	return status, c.call(ctx, http.MethodGet, "/v1/status", nil, &status)
}

// call asks the admin API. send, if not nil, is sent as JSON; what comes back is
// read into reply, if not nil.
func (c client) call(ctx context.Context, method, path string, send, reply any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var body bytes.Buffer
	if send != nil {
		if err := json.NewEncoder(&body).Encode(send); err != nil {
			return fmt.Errorf("asking xds: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.admin+path, &body)
	if err != nil {
		return fmt.Errorf("the admin API's address %q: %w", c.admin, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return noServerError{fmt.Errorf("no xds answers at %s (is `xds serve` running? --admin): %w", c.admin, err)}
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	switch {
	case resp.StatusCode == http.StatusNoContent:
		return nil
	case resp.StatusCode != http.StatusOK:
		text, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
		if err != nil {
			return fmt.Errorf("reading the answer of %s: %w", c.admin, err)
		}
		return fmt.Errorf("xds at %s: %s: %s", c.admin, resp.Status, strings.TrimSpace(string(text)))
	case reply == nil:
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(reply); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", c.admin, err)
	}
	return nil
}
