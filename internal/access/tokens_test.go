package access

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// minted makes a token and its line.
func minted(t *testing.T, name string, role api.Role) (token, line string) {
	t.Helper()
	token, line, err := NewToken(name, role)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(line, token) || len(token) < 50 {
		t.Errorf("%q is %q", line, token)
	}
	return token, line + "\n"
}

func TestParseTokens(t *testing.T) {
	_, one := minted(t, "ci", api.RoleOperate)
	_, two := minted(t, "ci", api.RoleView) // several of one name, for rotation
	list, err := ParseTokens([]byte("# who may\n\n" + one + " " + strings.TrimSpace(two) + " # bob's\r\n"))
	if err != nil || len(list) != 2 || list[0].Name != "ci" || list[0].Role != api.RoleOperate || list[1].Role != api.RoleView || list[0].Hash == list[1].Hash {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := ParseTokens([]byte("# none any more\n")); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	hash := strings.Fields(one)[2]
	for text, want := range map[string]string{
		"": "it is empty", " \n\t\n": "it is empty",
		one + one:                                 "line 2: the token is there twice",
		"# a\nwax_SECRET\n":                       "line 2: it is not NAME ROLE",
		"a operate " + hash + " b":                "line 1: it is not NAME ROLE",
		"a root " + hash:                          "line 1: the role is neither",
		"a view SECRET":                           "line 1: the hash is not",
		"a view " + hash[:len(hash)-2]:            "line 1: the hash is not",
		"a view " + strings.ToUpper(hash):         "line 1: the hash is not",
		"a\x00b view " + hash:                     "line 1: a name is",
		strings.Repeat("a", 65) + " view " + hash: "line 1: a name is",
		strings.Repeat("x", 1<<17):                "a line is too long",
	} {
		if _, err := ParseTokens([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func FuzzTokens(f *testing.F) {
	f.Add([]byte("# a\nci operate sha256:0000000000000000000000000000000000000000000000000000000000000000\n"))
	f.Add([]byte("ci view sha256:00 # b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := ParseTokens(text)
		if err != nil && list != nil || len(list) > maxTokens {
			t.Errorf("%v, %v", list, err)
		}
		for i, one := range list {
			if one.Name == "" || one.Role != api.RoleView && one.Role != api.RoleOperate {
				t.Errorf("%+v", one)
			}
			for _, other := range list[:i] {
				if other.Hash == one.Hash {
					t.Errorf("%+v is there twice", one)
				}
			}
		}
	})
}

// reloaded are tokens of a file that is watched.
func reloaded(t *testing.T, text string) (tokens *Tokens, save func(string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	save = func(text string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	}
	save(text)
	tokens, err := ReadTokens(discard(), path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- tokens.Run(ctx, watch.Settings{Quiet: time.Millisecond, Max: time.Second})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return tokens, save
}

// eventually asks until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !so() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never: %s", what)
		}
	}
}

// Tokens are taken anew, several at a time; what is broken leaves those of before, and is said.
func TestTokensAreRotated(t *testing.T) {
	first, one := minted(t, "ci", api.RoleOperate)
	second, two := minted(t, "ci", api.RoleView)
	tokens, save := reloaded(t, one)
	has := func(token string) bool { _, ok := tokens.find(token); return ok }
	if !has(first) || has(second) || has("") || has(first+" ") || has(strings.ToLower(first)) {
		t.Error("the first is not the one")
	}
	save(one + two)
	eventually(t, "both", func() bool { return has(first) && has(second) })
	for _, broken := range []string{"", "ci operate", one[:40]} {
		save(broken)
		eventually(t, "it is said", func() bool { d := tokens.Describe(); return d.Problem != "" && !d.ProblemSince.IsZero() })
		if !has(first) || !has(second) || tokens.Describe().Count != 2 {
			t.Errorf("%q took tokens away", broken)
		}
		save(one + two)
		eventually(t, "it is mended", func() bool { return tokens.Describe().Problem == "" })
	}
	save(two)
	eventually(t, "the second alone", func() bool { return !has(first) && has(second) })
	if _, err := ReadTokens(discard(), filepath.Join(t.TempDir(), "none"), time.Now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// Who has a token has its role, who has none or another's gets nothing; and who follows the events
// hears no more when their token is taken away.
func TestTokensAreAsked(t *testing.T) {
	viewer, one := minted(t, "alice", api.RoleView)
	operator, two := minted(t, "ci", api.RoleOperate)
	other, _ := minted(t, "eve", api.RoleOperate)
	tokens, save := reloaded(t, one+two)
	g := &Guard{Log: discard(), Tokens: tokens}
	var asked []Caller
	h := g.TCP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c := CallerOf(r.Context())
		c.refused = nil
		asked = append(asked, c)
		if r.URL.Path == api.PathEvents {
			<-r.Context().Done()
		}
	}))
	ask := func(path string, header ...string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Host, r.Header["Authorization"] = "localhost", header
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer " + other, "Basic " + operator, "Bearer  x " + operator, operator, "Bearer " + operator[:len(operator)-1]} {
		if got := ask("/", header); got != http.StatusUnauthorized || len(asked) > 0 {
			t.Errorf("%.12q: %d", header, got)
		}
	}
	if ask("/") != http.StatusUnauthorized || ask("/", "Bearer "+viewer) != 200 || ask("/", "bearer "+operator) != 200 {
		t.Error("they are told apart wrongly")
	}
	want := []Caller{{Name: "alice", Role: api.RoleView}, {Name: "ci", Address: "192.0.2.1:1234", Role: api.RoleOperate}}
	if len(asked) != 2 || asked[0].String() != "token alice" || asked[0].Role != want[0].Role || asked[1].Name != want[1].Name || asked[1].Role != want[1].Role || asked[1].Address != want[1].Address {
		t.Errorf("asked by %+v", asked)
	}
	if got := g.Refused()["unauthenticated"]; got != 9 {
		t.Errorf("%d are counted", got)
	}
	done := make(chan int)
	go func() { done <- ask(api.PathEvents, "Bearer "+viewer) }()
	save(two)
	<-done
}

// Where nobody can be told apart all may operate, whatever they show.
func TestOpen(t *testing.T) {
	g := &Guard{Log: discard()}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer x")
	if c, err := g.who(r); err != nil || c.Role != api.RoleOperate || c.How != api.AuthLoopback || c.Name != "" {
		t.Errorf("%+v, %v", c, err)
	}
}
