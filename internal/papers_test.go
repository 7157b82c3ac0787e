package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/golden"
)

var (
	link    = regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)]*))?\)`)
	heading = regexp.MustCompile("(?m)^#+ (.*)$")
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
)

// Each link between the papers leads somewhere, to the heading that it names.
func TestLinks(t *testing.T) {
	for _, paper := range papers(t, "../*.md", "../docs/*.md", "../wasm/*/*.md") {
		for _, m := range link.FindAllStringSubmatch(golden.Read(t, paper), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			to := paper
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(paper), m[1])
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", paper, m[1])
			} else if m[2] != "" && !hasHeading(t, to, m[2]) {
				t.Errorf("%s: the link to %s leads to no heading: %s", paper, m[1], m[2])
			}
		}
	}
}

// papers are the files of some patterns.
func papers(t *testing.T, patterns ...string) (out []string) {
	t.Helper()
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no papers %s: %v", pattern, err)
		}
		out = append(out, found...)
	}
	return out
}

// hasHeading is whether a paper has a heading that forges make such an anchor of.
func hasHeading(t *testing.T, paper, anchor string) bool {
	t.Helper()
	text := fenced.ReplaceAllString(golden.Read(t, paper), "")
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		made := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		if made == anchor {
			return true
		}
	}
	return false
}

var metric = regexp.MustCompile("waxwing_([a-z_]+)")

// Each metric that a paper names is one that the server has.
func TestMetricsInPapers(t *testing.T) {
	source, named := golden.Read(t, "console/metrics.go"), 0
	for _, paper := range papers(t, "../docs/*.md", "../README.md", "../RATIONALE.md", "../CHANGELOG.md") {
		for _, m := range metric.FindAllStringSubmatch(golden.Read(t, paper), -1) {
			if named++; !strings.Contains(source, `desc("`+m[1]+`"`) {
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
	if lines := strings.Count(golden.Read(t, "../README.md"), "\n"); lines > 180 {
		t.Errorf("README.md has %d lines: more than 180 belong into docs/", lines)
	}
}

var (
	quoted = regexp.MustCompile("`([^`\\s]+)`")
	source = regexp.MustCompile(`^[\w./-]*(/|\.(go|md|sh|yaml|yml|txt))$`)
	test   = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*$`)
)

// What CONTRIBUTING.md names is there: tests, and files and folders, which lie in a folder that
// their line has named before, or at the top.
func TestContributingNamesWhatThereIs(t *testing.T) {
	tests, files := allTests(t), 0
	for line := range strings.Lines(golden.Read(t, "../CONTRIBUTING.md")) {
		folders := []string{".."}
		for _, m := range quoted.FindAllStringSubmatch(line, -1) {
			name := strings.TrimPrefix(m[1], "./")
			switch {
			case test.MatchString(name) && !strings.Contains(tests, "\nfunc "+name+"("):
				t.Errorf("CONTRIBUTING.md names the test %s, which there is not", name)
			case !source.MatchString(name) || strings.HasPrefix(name, ".tools"):
			case strings.Contains(name, "NAME"): // it is to be written
				if strings.Contains(name, "/") {
					folders = append(folders, filepath.Join("..", filepath.Dir(name)))
				}
			default:
				files++
				folder := folderOf(name, folders)
				if folder == "" {
					t.Errorf("CONTRIBUTING.md names %s, which there is not:\n%s", name, line)
				}
				folders = append(folders, folder)
			}
		}
	}
	if files < 50 {
		t.Errorf("only %d files were looked for", files)
	}
}

// folderOf is that of a file, or a folder itself; "" where it is in none of the folders.
func folderOf(name string, folders []string) string {
	for _, folder := range slices.Backward(folders) {
		at := filepath.Join(folder, name)
		if info, err := os.Stat(at); err == nil && info.IsDir() {
			return at
		} else if err == nil {
			return filepath.Dir(at)
		}
	}
	return ""
}

// allTests is the text of all test files.
func allTests(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range papers(t, "*_test.go", "*/*_test.go", "../cmd/*/*_test.go", "../e2e/*_test.go") {
		all.WriteString(golden.Read(t, path))
	}
	return all.String()
}
