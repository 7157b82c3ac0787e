package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)

// Each link between the papers leads somewhere.
func TestLinks(t *testing.T) {
	var papers []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../wasm/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		papers = append(papers, found...)
	}
	for _, paper := range papers {
		text, err := os.ReadFile(paper)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(paper), m[1])); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", paper, m[1])
			}
		}
	}
}

var metric = regexp.MustCompile("waxwing_([a-z_]+)")

// Each metric that a paper names is one that the server has.
func TestMetricsInPapers(t *testing.T) {
	source, err := os.ReadFile("console/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := filepath.Glob("../docs/*.md")
	if err != nil || len(docs) == 0 {
		t.Fatalf("no docs: %v", err)
	}
	named := 0
	for _, paper := range append(docs, "../README.md", "../RATIONALE.md", "../CHANGELOG.md") {
		text, err := os.ReadFile(paper)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range metric.FindAllStringSubmatch(string(text), -1) {
			if named++; !strings.Contains(string(source), `desc("`+m[1]+`"`) {
				t.Errorf("%s names waxwing_%s, which there is not", paper, m[1])
			}
		}
	}
	if named == 0 {
		t.Error("no paper names any")
	}
}

// A reader comes to the end of the README.
func TestREADMEIsShort(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines > 180 {
		t.Errorf("README.md has %d lines: more than 180 belong into docs/", lines)
	}
}
