package main

import (
	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// adminFlag lets a command choose the server: --admin, else XDS_ADMIN.
func (a *app) adminFlag(cmd *cobra.Command) func() *api.Client {
	address := cmd.Flags().String("admin", defaultAdmin, "address of the server's admin API (also XDS_ADMIN)")
	return func() *api.Client {
		if env := a.getenv(envName("admin")); env != "" && !cmd.Flags().Changed("admin") {
			return api.New(env)
		}
		return api.New(*address)
	}
}
