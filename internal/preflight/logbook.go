package preflight

import (
	"fmt"
	"strings"
)

// How much of a module's log is kept at each step: enough for the first words
// of a panic, not for all that it can write.
const (
	logLines  = 12
	lineBytes = 300
	// maxPartial is longer than lineBytes by more than any secret that a cut could halve.
	maxPartial = 16 << 10
)

// minSecret is from what length on a header's value is replaced in a log: a
// shorter one is part of too many words.
const minSecret = 4

// logbook keeps what a module logs, a line each.
type logbook struct {
	secrets *strings.Replacer
	lines   []string
	more    int             // lines that were dropped
	silent  bool            // no line is kept
	partial strings.Builder // a line of standard output or error that has no end yet
	tee     func(string)    // sees every message too, as it is; nil but in tests
}

func newLogbook(values []string) *logbook {
	var pairs []string
	for _, v := range values {
		if len(v) >= minSecret {
			pairs = append(pairs, v, "[value]")
		}
	}
	return &logbook{secrets: strings.NewReplacer(pairs...)}
}

// reset begins a new step.
func (l *logbook) reset() { l.lines, l.more = nil, 0; l.partial.Reset() }

func (l *logbook) add(message string) {
	if l.tee != nil {
		l.tee(message)
	}
	for line := range strings.SplitSeq(strings.TrimRight(message, "\r\n"), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if l.silent || len(l.lines) >= logLines {
			l.more++
			continue
		}
		l.lines = append(l.lines, l.clean(line))
	}
}

// write takes standard output and error, which come in pieces.
func (l *logbook) write(piece string) {
	for {
		line, rest, whole := strings.Cut(piece, "\n")
		if room := maxPartial - l.partial.Len(); room > 0 {
			l.partial.WriteString(line[:min(len(line), room)])
		}
		if !whole {
			return
		}
		l.add(l.partial.String())
		l.partial.Reset()
		piece = rest
	}
}

// clean makes a line fit to be shown: without a check's secrets, and without
// what would move a terminal's cursor.
func (l *logbook) clean(line string) string {
	return printed(l.secrets.Replace(line), lineBytes)
}

// all returns the lines kept, and how many there were besides.
func (l *logbook) all() []string {
	out := append([]string(nil), l.lines...)
	if l.silent {
		if l.more > 0 || l.partial.Len() > 0 {
			return []string{"(not shown: its configuration is a secret)"}
		}
		return nil
	}
	if rest := strings.TrimSpace(l.partial.String()); rest != "" {
		out = append(out, l.clean(rest))
	}
	if l.more > 0 {
		out = append(out, fmt.Sprintf("(%d lines more)", l.more))
	}
	return out
}
