package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/waxwing-xds/waxwing/internal/confine"
	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// paths is a setting that is a list: a flag that is given several times or has commas in it, such a
// variable of the environment, or a list in the settings file.
type paths []string

func (p *paths) String() string { return strings.Join(*p, ",") }

// Set implements pflag.Value.
func (p *paths) Set(text string) error {
	var list []string
	if err := yaml.Unmarshal([]byte(text), &list); err != nil {
		list = strings.Split(text, ",")
	}
	for _, path := range list {
		if path = strings.TrimSpace(path); path == "" {
			return fmt.Errorf("%q names a path that is empty", text)
		}
		*p = append(*p, path)
	}
	return nil
}

// Type implements pflag.Value.
func (p *paths) Type() string { return "paths" }

// folder is what a fleet file's modules lie in where no setting says otherwise.
func folder(fleet string) string {
	if info, err := os.Stat(fleet); err == nil && info.IsDir() {
		return fleet
	}
	return filepath.Dir(fleet)
}

// modules is which modules, and other files that a fleet file names, are read.
func (s *settings) modules() confine.Rule {
	rule := confine.Rule{Folders: s.AllowPath, MaxBytes: s.MaxModuleBytes, Setting: "--max-module-bytes"}
	if len(rule.Folders) == 0 {
		rule.Folders = []string{folder(s.Fleet)}
	}
	return rule
}

// files is which files the server reads: its fleet files wherever they are, since a person named
// them, and of what these name what modules says.
func (s *settings) files() func(path string) confine.Rule {
	modules := s.modules()
	return func(path string) confine.Rule {
		if path == s.Fleet || filepath.Dir(path) == filepath.Clean(s.Fleet) {
			return confine.Rule{MaxBytes: fleet.MaxBytes}
		}
		if rule, ok := s.besideRule(path); ok {
			return rule
		}
		return modules
	}
}
