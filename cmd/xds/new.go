package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/scaffold"
)

func (a *app) newFilter() *cobra.Command {
	return &cobra.Command{
		Use:   "new " + strings.Join(scaffold.Languages, "|") + " NAME",
		Short: "Write a filter to begin with",
		Long: `Write a filter to begin with, in a folder NAME: its source, a fleet file with its checks,
and a Makefile. There, ` + "`make`" + ` builds and checks it, and ` + "`make serve`" + ` serves it to Envoys.`,
		Example: "  xds new rust my-filter\n  cd my-filter\n  make",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{fmt.Errorf("%s takes a language, %s, and a name", cmd.CommandPath(), strings.Join(scaffold.Languages, " or "))}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return writeFilter(args[0], args[1], a.stdout) },
	}
}

// writeFilter writes a filter into a folder of its name, and says how to go on.
func writeFilter(language, name string, out io.Writer) error {
	self, err := ownPath()
	if err != nil {
		return err
	}
	f := scaffold.Filter{Language: language, Name: name, XDS: self}
	if err := f.Check(); err != nil {
		return usageError{err}
	}
	files, err := f.Write(name)
	if err != nil {
		return err
	}
	for _, file := range files {
		fmt.Fprintf(out, "%s/%s\n", name, file)
	}
	fmt.Fprintf(out, "\ncd %s, then: make (builds and checks it), make serve, make envoy\n", name)
	return nil
}

// ownPath is how a Makefile runs this program where no xds is on its PATH.
func ownPath() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("this program's own path: %w", err)
	}
	if found, err := exec.LookPath("xds"); err == nil && found == path {
		return "xds", nil
	}
	if strings.ContainsAny(path, " \t$#,()\n") {
		return "", errors.New("this program's own path has white space or one of $#,() in it, which a Makefile can't name: put it on the PATH as xds")
	}
	return path, nil
}
