// Package scaffold writes a filter to begin with: its source, its checks in a fleet file, and a
// Makefile that builds, checks and serves it.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/waxwing-xds/waxwing/wasm"
)

// What is written is named without .tmpl, which keeps Go from compiling it here.
//
//go:embed templates
var templates embed.FS

// Languages are those that there are filters in.
var Languages = []string{"rust", "go"}

// A Filter is what is to be written.
type Filter struct {
	Language string
	Name     string // of the filter, its fleet, its module and its folder
	XDS      string // how a Makefile runs xds, where none is on the PATH
}

// A name is a crate's, a module's and a fleet's, and a part of file names and of make's rules.
var names = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// longest is how long a name may be.
const longest = 60

// Check says what is wrong with a filter's language or name.
func (f Filter) Check() error {
	switch {
	case !slices.Contains(Languages, f.Language):
		return fmt.Errorf("%q is no language that there is a filter in: %s", f.Language, strings.Join(Languages, ", "))
	case !names.MatchString(f.Name) || len(f.Name) > longest:
		return fmt.Errorf("%q is no name for a filter: up to %d small letters, digits and single dashes between them, a letter first", f.Name, longest)
	}
	return nil
}

// Write writes a filter into a folder, which it makes: one that is there must be empty. It
// returns the files, by their paths in the folder.
func (f Filter) Write(dir string) ([]string, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	files, err := f.files()
	if err != nil {
		return nil, err
	}
	if err := emptied(dir); err != nil {
		return nil, err
	}
	var written []string
	for _, file := range files {
		path := filepath.Join(dir, file.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return written, fmt.Errorf("writing the filter: %w", err)
		}
		if err := os.WriteFile(path, file.text, 0o644); err != nil {
			return written, fmt.Errorf("writing the filter: %w", err)
		}
		written = append(written, file.path)
	}
	return written, nil
}

// emptied reports a folder that has something in it, or is none.
func emptied(dir string) error {
	switch entries, err := os.ReadDir(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("a folder for the filter: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("folder %s is there already, with %s in it: nothing was written", dir, entries[0].Name())
	}
	return nil
}

type file struct {
	path string
	text []byte
}

// files are those of a language and those of both, filled in.
func (f Filter) files() ([]file, error) {
	var out []file
	for _, from := range []string{f.Language, "both"} {
		root := "templates/" + from
		err := fs.WalkDir(templates, root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := f.fill(path)
			name := strings.TrimSuffix(strings.TrimPrefix(path, root+"/"), ".tmpl")
			if name == "gitignore" {
				name = ".gitignore"
			}
			out = append(out, file{filepath.FromSlash(name), text})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("the filter's templates: %w", err)
		}
	}
	if f.Language == "rust" {
		out = append(out, file{"build-rust.sh", wasm.BuildRust})
	}
	slices.SortFunc(out, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return out, nil
}

// fill fills a template in.
func (f Filter) fill(path string) ([]byte, error) {
	text, err := templates.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := template.New(path).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, f)
	return out.Bytes(), err
}
