package process

import (
	"fmt"
	"os"
	"strings"
)

// Err says how it ended, with the last lines of its log, once Done is closed.
func (p *Process) Err() error {
	how := "by itself"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended (%s): %s", p.name, how, strings.ReplaceAll(p.Tail(3), "\n", " | "))
}

// Tail are the last lines of its log.
func (p *Process) Tail(lines int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("(its log can't be read: %v)", err)
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
