package access

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// A Token is one that may be shown: its name for people, what who shows it may do, and the
// SHA-256 of it. The token itself is 260 random bits, so that a hash without salt does.
type Token struct {
	Name string
	Role api.Role
	Hash [sha256.Size]byte
}

const hashPrefix = "sha256:"

// NewToken makes a token, and its line for the file.
func NewToken(name string, role api.Role) (token, line string, err error) {
	token = "wax_" + rand.Text() + rand.Text()
	line = fmt.Sprintf("%s %s %s%x", name, role, hashPrefix, sha256.Sum256([]byte(token)))
	_, err = parseLine(line)
	return token, line, err
}

// maxTokens bounds what each request is compared with.
const maxTokens = 1000

// ParseTokens reads a file of tokens: a line for each, and comments from # on. Its error has the
// line's number, and nothing of the line: it may be a token by mistake.
func ParseTokens(text []byte) ([]Token, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("it is empty: a file without tokens has a comment")
	}
	var out []Token
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		t, err := parseLine(line)
		if err == nil && slices.ContainsFunc(out, func(o Token) bool { return o.Hash == t.Hash }) {
			err = errors.New("the token is there twice")
		}
		if err == nil && len(out) >= maxTokens {
			err = fmt.Errorf("there are more than %d tokens", maxTokens)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, t)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("a line is too long: %w", err)
	}
	return out, nil
}

func parseLine(line string) (t Token, err error) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return t, errors.New("it is not NAME ROLE sha256:HASH, as `xds token` prints it")
	}
	t.Name, t.Role = fields[0], api.Role(fields[1])
	if len(t.Name) > 64 || strings.ContainsFunc(t.Name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '#' }) {
		return t, errors.New("a name is up to 64 characters of ASCII")
	}
	if !slices.Contains(api.Roles, t.Role) {
		return t, errors.New("the role is neither view nor operate")
	}
	text, is := strings.CutPrefix(fields[2], hashPrefix)
	sum, err := hex.DecodeString(text)
	if !is || err != nil || len(sum) != len(t.Hash) {
		return t, errors.New("the hash is not sha256: and 64 hexadecimal digits")
	}
	copy(t.Hash[:], sum)
	return t, nil
}

// Tokens are those of a file, which is taken anew when it changes. What is broken does not
// replace what works.
type Tokens struct {
	log  *slog.Logger
	path string
	now  func() time.Time

	mu      sync.Mutex
	list    []Token
	problem string // why what is on disk is not in use
	since   time.Time
}

// ReadTokens reads the file for the first time: what is broken then is an error.
func ReadTokens(log *slog.Logger, path string, now func() time.Time) (*Tokens, error) {
	t := &Tokens{log: log, path: path, now: now}
	text, err := os.ReadFile(path)
	if err == nil {
		t.list, err = ParseTokens(text)
	}
	if err != nil {
		return nil, fmt.Errorf("tokens of the admin API: %s: %w", path, err)
	}
	return t, nil
}

// Run takes the file anew when it changes, until the context ends.
func (t *Tokens) Run(ctx context.Context, settings watch.Settings) error {
	w, err := watch.New(t.log, settings)
	if err != nil {
		return err
	}
	w.Watch([]string{t.path})
	return w.Run(ctx, t.take)
}

func (t *Tokens) take(changes []watch.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range changes {
		if c.Draft || c.Same {
			continue
		}
		list, err := []Token(nil), c.Err
		if err == nil {
			list, err = ParseTokens(c.Data)
		}
		if err != nil {
			t.problem, t.since = err.Error(), t.now()
			t.log.Error("the tokens of the admin API can't be used as they are now: those of before go on", "file", t.path, "error", err)
			continue
		}
		if t.problem != "" || !slices.Equal(list, t.list) {
			t.log.Info("the admin API has new tokens", "file", t.path, "tokens", len(list))
		}
		t.list, t.problem, t.since = list, "", time.Time{}
	}
}

// find is the token that is shown. How long it takes says nothing of which it is.
func (t *Tokens) find(shown string) (found Token, ok bool) {
	t.mu.Lock()
	list := t.list
	t.mu.Unlock()
	sum := sha256.Sum256([]byte(shown))
	for _, one := range list {
		if subtle.ConstantTimeCompare(sum[:], one.Hash[:]) == 1 {
			found, ok = one, true
		}
	}
	return found, ok
}

// Describe is what the status says of them.
func (t *Tokens) Describe() *api.TokensFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &api.TokensFile{File: t.path, Count: len(t.list), Problem: t.problem, ProblemSince: t.since}
}
