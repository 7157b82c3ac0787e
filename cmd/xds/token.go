package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/access"
	"github.com/waxwing-xds/waxwing/internal/api"
)

func (a *app) token() *cobra.Command {
	role, to := string(api.RoleView), ""
	cmd := &cobra.Command{
		Use:   "token NAME",
		Short: "Make a bearer token of the admin API",
		Long: `Make a bearer token of the admin API, by a name for people. Printed is its line for the file
that --admin-tokens of xds serve names; the token itself goes to standard error, or to a
file, and is kept nowhere else: the line has no more than its hash. Several tokens may have
one name: to rotate one, add a line, hand the new token out, and take the old line away.`,
		Example: `  xds token ci --role operate --to ci.token >> tokens
  xds status --admin xds.internal:17001 --admin-ca ca.crt --admin-token-file ci.token`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("xds token takes one name")}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&role, "role", role, "what who has it may do: view or operate")
	cmd.Flags().StringVar(&to, "to", "", "file to write the token to, which is not to exist yet; its owner alone may read it")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if !slices.Contains(api.Roles, api.Role(role)) {
			return usageError{fmt.Errorf("--role: %q is neither view nor operate", role)}
		}
		token, line, err := access.NewToken(args[0], api.Role(role))
		if err != nil {
			return usageError{fmt.Errorf("%q: %w", args[0], err)}
		}
		if to == "" {
			fmt.Fprintln(a.stderr, "the token, which is shown once:", token)
		} else if err := writeNew(to, token+"\n"); err != nil {
			return fmt.Errorf("--to: %w", err)
		}
		_, err = fmt.Fprintln(a.stdout, line)
		return err
	}
	return cmd
}

// writeNew writes a file that is not there yet, and that nobody else may read.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
