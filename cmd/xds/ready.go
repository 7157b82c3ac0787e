package main

import (
	"context"
	"errors"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// errNotReady is what `xds status --ready` ends with, for health checks.
var errNotReady = errors.New("no fleet has a revision to serve")

// readiness is nil if there is a revision to serve.
func readiness(ctx context.Context, c *api.Client) error {
	status, err := c.Fleets(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(status.Fleets, hasRevision) {
		return errNotReady
	}
	return nil
}

func hasRevision(f api.Fleet) bool { return f.Serving.ID != "" || f.Candidate.ID != "" }
