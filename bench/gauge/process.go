// Package gauge reads what a running server takes: from the kernel, so that it
// costs the server nothing, and from the metrics that it gives of itself.
package gauge

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process took.
type Usage struct {
	CPU   time.Duration
	Wrote int64 // bytes, to sockets for the most part
	Peak  int64 // the most that was resident, in bytes; of Measure
}

// UsageOf is what it took so far. The kernel is asked, so that it costs the process
// nothing; the clock is that of clock_getcpuclockid(3), which counts in nanoseconds.
func UsageOf(pid int) (Usage, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return Usage{}, fmt.Errorf("the processor time of process %d: %w", pid, err)
	}
	wrote, err := field(pid, "io", "wchar:")
	return Usage{CPU: time.Duration(t.Nano()), Wrote: wrote}, err
}

// Measure is what a process takes while something is done.
func Measure(pid int, do func() error) (Usage, error) {
	before, err := UsageOf(pid)
	if err != nil {
		return Usage{}, err
	}
	// The peak begins with what is resident now (proc_pid_clear_refs(5)).
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return Usage{}, err
	}
	if err := do(); err != nil {
		return Usage{}, err
	}
	after, err1 := UsageOf(pid)
	peak, err2 := field(pid, "status", "VmHWM:")
	return Usage{after.CPU - before.CPU, after.Wrote - before.Wrote, peak << 10}, errors.Join(err1, err2)
}

// Resident is a process's memory now, in bytes.
func Resident(pid int) (int64, error) {
	n, err := field(pid, "status", "VmRSS:")
	return n << 10, err
}

func field(pid int, file, name string) (int64, error) {
	path := fmt.Sprintf("/proc/%d/%s", pid, file)
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	words := strings.Fields(string(data))
	for i, word := range words {
		if word == name && i+1 < len(words) {
			return strconv.ParseInt(words[i+1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}
