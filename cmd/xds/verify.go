package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/waxwing-xds/waxwing/internal/build"
	"github.com/waxwing-xds/waxwing/internal/confine"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/signed"
)

// verifying is the setting that says what the modules of all fleets must be signed by.
type verifying struct {
	text string
	rule *fleet.Verify // nil for nothing
}

// String implements pflag.Value: the rule as JSON on one line.
func (v *verifying) String() string { return v.text }

// Set implements pflag.Value.
func (v *verifying) Set(text string) error {
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil || value == nil {
		*v = verifying{}
		return err
	}
	rule, err := fleet.ParseVerify("--verify", text)
	if err != nil {
		return err
	}
	if !utf8.ValidString(fmt.Sprint(value)) { // which JSON would write as something else
		return errors.New("it is not in UTF-8")
	}
	line, err := json.Marshal(value)
	*v = verifying{string(line), rule}
	return err
}

// Type implements pflag.Value.
func (v *verifying) Type() string { return "rule" }

// from says where it was set.
func (v *verifying) from(place string) {
	if v.rule != nil {
		v.rule.Place = place
	}
}

// files are those that the setting names: a person has, so they may be anywhere.
func (v *verifying) files() []string {
	if v.rule == nil {
		return nil
	}
	return v.rule.Files()
}

// readable refuses a rule that would let nothing pass, since what it names can't be read. Later it
// does let nothing pass until that is mended.
func (v *verifying) readable() error {
	if v.rule == nil {
		return nil
	}
	files := signed.Files{}
	for _, path := range v.files() {
		data, err := confine.Rule{MaxBytes: signed.MaxBytes}.ReadFile(path)
		files[path] = signed.File{Data: data, Err: err}
	}
	if err := signed.Readable(v.rule, files); err != nil {
		return fmt.Errorf("verify of %s: %w", v.rule.Place, err)
	}
	return nil
}

// maker makes revisions as the settings want it.
func (s *settings) maker(sandbox build.Sandbox) *build.Maker {
	m := build.NewMaker(sandbox, s.modules())
	m.Verify = s.Verify.rule
	return m
}

// besideRule is which of the files that modules are verified by are read: small ones, where the
// modules are, and what the setting names.
func (s *settings) besideRule(path string) (rule confine.Rule, ok bool) {
	rule = s.modules()
	rule.MaxBytes, rule.Setting = signed.MaxBytes, ""
	if slices.Contains(s.Verify.files(), path) {
		rule.Folders = nil
		return rule, true
	}
	return rule, signed.IsSignature(path)
}
