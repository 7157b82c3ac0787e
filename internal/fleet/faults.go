package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// alone reports documents that come after the fleet's. One in which nothing is, after a
// last "---", is none.
func (p *parser) alone(d *yaml.Decoder, data []byte) bool {
	for {
		var more yaml.Node
		err := d.Decode(&more)
		switch {
		case errors.Is(err, io.EOF):
			return true
		case err != nil:
			p.syntax(err, data)
			return false
		case more.Content[0].Kind != yaml.ScalarNode || more.Content[0].Value != "":
			p.add(more.Content[0].Line, "one file is one fleet: a second YAML document is in it")
			return false
		}
	}
}

// syntax takes over a syntax error of the YAML library, which does not say of each where.
func (p *parser) syntax(err error, data []byte) {
	before := len(p.list)
	p.addYAML(err, nil)
	for _, e := range p.list[before:] {
		if e.Line == 0 {
			e.Line = faultLine(e.Msg, data)
		}
	}
}

var unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)

// faultLine is the line of what the library refuses: an alias of nothing, or else the first
// character that a YAML file can't have; 0 where it is not found.
// https://yaml.org/spec/1.2.2/#51-character-set
func faultLine(msg string, data []byte) int {
	if m := unknownAnchor.FindStringSubmatch(msg); m != nil {
		alias := regexp.MustCompile(fmt.Sprintf(`(^|[\s\[{,:])\*%s($|[\s\]},])`, regexp.QuoteMeta(m[1])))
		return lineAt(data, alias.FindIndex(data))
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return 0 // UTF-16
	}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f {
			return lineAt(data, []int{i, i + size})
		}
		i += size
	}
	return 0
}

// lineAt is the line on which a part of the text ends.
func lineAt(data []byte, found []int) int {
	if found == nil {
		return 0
	}
	return bytes.Count(bytes.TrimRight(data[:found[1]], "\n"), []byte("\n")) + 1
}
