package preflight

import (
	"strings"
	"unicode"
)

// How long, in bytes, what is said of a filter may be. Some of it are the module's own words: names in
// it, statuses that it answers. An error goes to logs, to the history and to `xds status`, and stays there.
const (
	maxReason = 4 << 10
	maxAnswer = 256
)

// printed makes words of a module fit to be shown: on one line, without what would move a terminal's
// cursor, and not longer than most bytes.
func printed(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + " …"
	}
	return strings.Clone(text) // and not what it is cut of
}

// bound has what is said of a filter be of a length, and printable.
func (e *Error) bound() {
	e.Reason, e.Expected, e.Got = printed(e.Reason, maxReason), printed(e.Expected, maxAnswer), printed(e.Got, maxAnswer)
}
