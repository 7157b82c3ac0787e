package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/licensecheck"
)

// What is in a binary may be used, changed and given away by anyone, as Waxwing may be: each package's
// nearest licences ask for no more than a notice.
func TestLicences(t *testing.T) {
	looked := map[string]bool{}
	for _, system := range []string{"linux", "darwin"} {
		for _, p := range packagesOfBinaries(t, system) {
			files, err := nearestLicences(p.dir, p.root)
			if err != nil {
				t.Errorf("%s: %v", p.path, err)
			}
			for _, file := range files {
				if !looked[file] {
					looked[file] = true
					mustPermit(t, p.path, file)
				}
			}
		}
	}
	if len(looked) < 30 {
		t.Errorf("only %d licences were found", len(looked))
	}
	t.Logf("%d licences", len(looked))
}

func mustPermit(t *testing.T, path, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	} else if why := restricts(text); why != "" {
		t.Errorf("%s: %s %s", path, filepath.Base(file), why)
	}
}

// permissive are the licences, by their SPDX identifiers, that ask for no more than a notice.
var permissive = map[string]bool{"Apache-2.0": true, "BSD-2-Clause": true, "BSD-3-Clause": true, "ISC": true, "MIT": true}

// restricts is what keeps a licence from being taken, "" for nothing: one of its parts is none of
// these, or not nearly all of it is known.
func restricts(text []byte) string {
	const known = 75 // percent; the rest is names, and sentences around
	found := licensecheck.Scan(text)
	for _, m := range found.Match {
		if !permissive[m.ID] {
			return "is " + m.ID
		}
	}
	if len(found.Match) == 0 || found.Percent < known {
		return "is none that is known"
	}
	return ""
}

func TestRestricts(t *testing.T) {
	own, err := os.ReadFile("../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	const mozilla = "This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of the MPL was " +
		"not distributed with this file, You can obtain one at https://mozilla.org/MPL/2.0/."
	for _, c := range []struct{ text, want string }{
		{string(own), ""},
		{"", "is none that is known"},
		{"All rights reserved. Ask us.", "is none that is known"},
		{string(own) + strings.Repeat("But you may not use it on Sundays. ", 400), "is none that is known"},
		{mozilla, "is MPL-2.0"},
		{string(own) + mozilla, "is MPL-2.0"},
	} {
		if got := restricts([]byte(c.text)); got != c.want {
			t.Errorf("%.40q…: %q, want %q", c.text, got, c.want)
		}
	}
}

type listedPackage struct{ path, dir, root string }

// packagesOfBinaries are those of other modules that the binaries of a system have.
func packagesOfBinaries(t *testing.T, system string) (out []listedPackage) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Dir,Standard,Module", "../cmd/...")
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=arm64", "CGO_ENABLED=0")
	list, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(list))); ; {
		var p struct {
			ImportPath, Dir string
			Standard        bool
			Module          *struct {
				Dir  string
				Main bool
			}
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !p.Standard && !p.Module.Main {
			out = append(out, listedPackage{p.ImportPath, p.Dir, p.Module.Dir})
		}
	}
	return out
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([.-].*)?$`)

// isLicence leaves out that of a documentation, which no binary has, and code of that name.
func isLicence(name string) bool {
	return licenceFile.MatchString(name) && !strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".docs")
}

// nearestLicences are those of a package's folder, or of the nearest one above it in its module.
func nearestLicences(dir, root string) (files []string, err error) {
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() && isLicence(e.Name()) {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
		switch {
		case len(files) > 0:
			return files, nil
		case dir == root:
			return nil, errors.New("its module has no licence")
		}
		dir = filepath.Dir(dir)
	}
}
