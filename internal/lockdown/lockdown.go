// Package lockdown takes away from a process what it does not need: files, network, other programs,
// and more memory and CPU time than it was given. It is for the process that hostile code runs in.
package lockdown

import "strings"

// A Force is what holds a process: some of the means below, by the names that people know.
type Force []string

// The means. Which of them there are depends on the system: resource limits everywhere, a filter of system calls and
// one of what these may reach on Linux.
const (
	Rlimits  = "rlimits"
	Seccomp  = "seccomp"
	Landlock = "landlock"
)

func (f Force) String() string {
	if len(f) == 0 {
		return "nothing"
	}
	return strings.Join(f, ", ")
}

// maxFiles is how many files the process may have open: its pipes, and what Go's runtime waits with.
const maxFiles = 16
