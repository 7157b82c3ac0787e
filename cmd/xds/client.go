package main

import (
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

func (c client) status(ctx context.Context) (control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.admin+"/v1/status", nil)
	if err != nil {
		return control.Status{}, fmt.Errorf("the admin API's address %q: %w", c.admin, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return control.Status{}, fmt.Errorf("no xds answers at %s (is `xds serve` running? --admin): %w", c.admin, err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	if resp.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
		if err != nil {
			return control.Status{}, fmt.Errorf("reading the answer of %s: %w", c.admin, err)
		}
		return control.Status{}, fmt.Errorf("xds at %s: %s: %s", c.admin, resp.Status, strings.TrimSpace(string(text)))
	}
	var status control.Status
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		return control.Status{}, fmt.Errorf("reading the answer of %s: %w", c.admin, err)
	}
	return status, nil
}
