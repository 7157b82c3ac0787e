// Package gauge reads what a running server takes: from the kernel, so that it
// costs the server nothing, and from the metrics that it gives of itself.
package gauge

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process took so far.
type Usage struct {
	CPU   time.Duration
	Wrote int64 // bytes, to sockets for the most part
}

// UsageOf asks the kernel, so that it costs the process nothing. The clock is that
// of clock_getcpuclockid(3), which counts in nanoseconds.
func UsageOf(pid int) (Usage, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return Usage{}, fmt.Errorf("the processor time of process %d: %w", pid, err)
	}
	wrote, err := field(pid, "io", "wchar:")
	return Usage{time.Duration(t.Nano()), wrote}, err
}

// Resident is a process's memory now, in bytes.
func Resident(pid int) (int64, error) {
	n, err := field(pid, "status", "VmRSS:")
	return n << 10, err
}

// Peak is the most that a process had resident since ForgetPeak, in bytes.
func Peak(pid int) (int64, error) {
	n, err := field(pid, "status", "VmHWM:")
	return n << 10, err
}

// ForgetPeak makes the peak start from what is resident now (proc_pid_clear_refs(5)).
func ForgetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
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
