package sandbox

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// Why a child has ended: by the filter, which is refused for it, or by something else, which says nothing of the filter.

// died says what the end of a child means for the job that it had: an error that refuses the filter, or a *Problem.
func (c *process) died(p preflight.Plugin, j job) error {
	select {
	case <-c.exited:
	case <-time.After(endTime):
		return problem("its process neither answers nor ends")
	}
	state, _ := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	last := c.errs.String()
	switch block := noMemory.FindStringSubmatch(last); {
	case block != nil && number(block[1])+number(block[2]) < j.Memory/2:
		return problem("its process got no memory, long before its own limit: the machine has none")
	case strings.Contains(last, "out of memory"):
		return preflight.Died(p.Name, outOfMemory(j.Memory))
	case strings.Contains(last, "failed to create new OS thread"), strings.Contains(last, "pthread_create failed"):
		return problem("its process got no thread: the limit of the user's or the cgroup's tasks is reached")
	case state.Signaled() && state.Signal() == syscall.SIGKILL:
		return problem("its process was killed by somebody else, the system for want of memory perhaps")
	}
	return preflight.Died(p.Name, "the process of its sandbox crashes: "+c.why())
}

// noMemory is what Go's runtime says where the system gives it no more memory, with bytes asked for and in use.
var noMemory = regexp.MustCompile(`cannot allocate (\d+)-byte block \((\d+) in use\)`)

func number(digits string) uint64 {
	n, _ := strconv.ParseUint(digits, 10, 64) // digits only, and the largest number where there are too many
	return n
}

// why is what it wrote last, or how it ended.
func (c *process) why() string {
	if text := c.errs.String(); text != "" {
		return text
	}
	select {
	case <-c.exited:
		if c.cmd.ProcessState != nil {
			return c.cmd.ProcessState.String()
		}
	default:
	}
	return "it says nothing"
}

// lastWords are the beginning of what a child writes to standard error: Go says first what is wrong.
type lastWords struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// maxLastWords is how much is kept, in bytes.
const maxLastWords = 2 << 10

// Write implements io.Writer.
func (t *lastWords) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := maxLastWords - t.text.Len(); room > 0 {
		t.text.Write(b[:min(len(b), room)])
	}
	return len(b), nil
}

// String is its first paragraph, in one line.
func (t *lastWords) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	first, _, _ := strings.Cut(strings.TrimSpace(t.text.String()), "\n\n")
	return strings.Join(strings.Fields(first), " ")
}
