package fleet

import (
	"regexp"
	"strings"
	"testing"
)

// Every name that is read from a template is one, once, and of one line is what is said of it.
func FuzzPathTemplate(f *testing.F) {
	for _, text := range []string{"/", "/a/{x}/{y=b/*}.html", "/{x=**}/a", "/**/*", "/a{x}b/", "/{x", "/{}", "//", "/{a}{b}", "/\n"} {
		f.Add(text)
	}
	name := regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]{0,15}$`)
	f.Fuzz(func(t *testing.T, text string) {
		names, err := templateVariables(text)
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %q", text, err)
		}
		if err == nil && len(names) > mostVariables {
			t.Errorf("%q has the variables %q", text, names)
		}
		seen := map[string]bool{}
		for _, one := range names {
			if !name.MatchString(one) || seen[one] {
				t.Errorf("%q has the variable %q", text, one)
			}
			seen[one] = true
		}
		if _, err := rewriteVariables(text); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %q", text, err)
		}
	})
}
