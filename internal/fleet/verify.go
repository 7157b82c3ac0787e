package fleet

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Verify is what modules must be signed by: one of the keys, or one of the identities.
type Verify struct {
	// Place is where it is said: FILE:LINE of a fleet file, or the setting.
	Place      string
	Keys       []Key
	Identities []Identity
	// TrustedRoot is the path of a trusted_root.json: which authorities and logs vouch for identities.
	TrustedRoot string
}

// A Key is a file of public keys, by its path, or the PEM of some.
type Key struct{ File, PEM string }

// An Identity is who a certificate must be of. Of the issuer and of the subject one is set: what it
// is, or an expression of all of it.
type Identity struct{ Issuer, IssuerRegexp, Subject, SubjectRegexp string }

// maxSigners is how many keys, and how many identities, a rule may have: each key may be tried with
// all bytes of a module.
const maxSigners = 32

// Files are the files that a rule names.
func (v *Verify) Files() (paths []string) {
	for _, key := range v.Keys {
		if key.File != "" {
			paths = append(paths, key.File)
		}
	}
	if v.TrustedRoot != "" {
		paths = append(paths, v.TrustedRoot)
	}
	return paths
}

// Whole is an expression that must match all of a text. A rule for a host is not to hold for hosts
// that it is a part of.
func Whole(expression string) string { return `^(?:` + expression + `)$` }

type verifyDocument struct {
	Keys []struct {
		File at[string] `yaml:"file"`
		PEM  at[string] `yaml:"pem"`
	} `yaml:"keys"`
	Identities []struct {
		Issuer        at[string] `yaml:"issuer"`
		IssuerRegexp  at[string] `yaml:"issuer_regexp"`
		Subject       at[string] `yaml:"subject"`
		SubjectRegexp at[string] `yaml:"subject_regexp"`
	} `yaml:"identities"`
	TrustedRoot struct {
		File at[string] `yaml:"file"`
	} `yaml:"trusted_root"`
}

// ParseVerify reads a rule of the settings in YAML; place is where that stands. Paths are those of
// the working directory.
func ParseVerify(place, text string) (*Verify, error) {
	strict := yaml.NewDecoder(strings.NewReader(text))
	strict.KnownFields(true)
	p := problems{}
	var doc *verifyDocument
	if err := strict.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		p.addYAML(err, nil)
	}
	var rule *Verify
	if len(p.list) == 0 {
		rule = verifyReader{problems: &p}.read(doc, place, 0)
	}
	if len(p.list) > 0 {
		return nil, errors.New(strings.TrimPrefix(p.list[0].Msg, "verify: "))
	}
	return rule, nil
}

// verify reads a rule of the fleet file, below a mapping at some place in it; nil where none is there.
func (p *parser) verify(doc *verifyDocument, of *yaml.Node, steps ...any) *Verify {
	if doc == nil && child(of, "verify") == nil {
		return nil
	}
	line := lineOf(p.root, append(steps, "verify")...)
	r := verifyReader{problems: &p.problems, folder: filepath.Dir(p.file)}
	return r.read(doc, fmt.Sprintf("%s:%d", p.file, line), line)
}

// verifyReader reads rules. What is empty is wrong: it would let everything pass, or nothing.
type verifyReader struct {
	problems *problems
	folder   string // of relative paths
}

func (r verifyReader) read(doc *verifyDocument, place string, line int) *Verify {
	v := &Verify{Place: place}
	if doc == nil || len(doc.Keys)+len(doc.Identities) == 0 {
		r.problems.add(line, "verify: it names nobody who signs: keys, or identities")
		return v
	}
	if len(doc.Keys) > maxSigners || len(doc.Identities) > maxSigners {
		r.problems.add(line, "verify: it has more than %d keys or identities", maxSigners)
		return v
	}
	for i, key := range doc.Keys {
		v.Keys = append(v.Keys, r.key(i, key.File, key.PEM, line))
	}
	for i, id := range doc.Identities {
		v.Identities = append(v.Identities, Identity{
			Issuer: id.Issuer.value, IssuerRegexp: id.IssuerRegexp.value, Subject: id.Subject.value, SubjectRegexp: id.SubjectRegexp.value,
		})
		r.one(i, "issuer", id.Issuer, id.IssuerRegexp, line)
		r.one(i, "subject", id.Subject, id.SubjectRegexp, line)
	}
	v.TrustedRoot = r.path(doc.TrustedRoot.File)
	switch {
	case v.TrustedRoot == "" && len(v.Identities) > 0:
		r.problems.add(line, "verify: identities need `trusted_root: {file: PATH}`, which says who vouches for them: nothing is fetched")
	case v.TrustedRoot != "" && len(v.Identities) == 0:
		r.problems.add(doc.TrustedRoot.File.line, "verify: trusted_root is of identities, and there are none")
	}
	return v
}

func (r verifyReader) key(i int, file, pem at[string], line int) Key {
	switch {
	case (file.value == "") == (pem.value == ""):
		r.problems.add(max(file.line, pem.line, line), "verify: key %d is `{file: PATH}`, or `{pem: TEXT}`", i+1)
	case pem.value != "":
		if _, err := PublicKeys([]byte(pem.value)); err != nil {
			r.problems.add(pem.line, "verify: key %d: %v", i+1, err)
		}
	}
	return Key{File: r.path(file), PEM: pem.value}
}

// path is that of a file which is read, and watched, besides fleet files: it can't be one of them.
func (r verifyReader) path(file at[string]) string {
	path := filepath.FromSlash(file.value)
	if path == "" {
		return ""
	}
	if r.folder != "" && !filepath.IsAbs(path) {
		path = filepath.Join(r.folder, path)
	}
	if isFleetFile(path) || path == r.problems.file {
		r.problems.add(file.line, "verify: %s is a fleet file, by its name", path)
	}
	return path
}

// isFleetFile is whether a file in a folder of fleet files is taken for one.
func isFleetFile(path string) bool {
	ext := filepath.Ext(path)
	return ext == ".yaml" || ext == ".yml"
}

// one wants either a name or an expression.
func (r verifyReader) one(i int, what string, exact, expression at[string], line int) {
	line = max(exact.line, expression.line, line)
	if (exact.value == "") == (expression.value == "") {
		r.problems.add(line, "verify: identity %d has one of %s and %s_regexp", i+1, what, what)
	} else if _, err := regexp.Compile(expression.value); err != nil { // by itself: a)|(b is not to be whole
		r.problems.add(line, "verify: identity %d: %s_regexp: %v", i+1, what, err)
	}
}
