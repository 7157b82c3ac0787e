package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what a process took so far.
type usage struct {
	cpu   time.Duration
	wrote int64 // bytes, to sockets for the most part
}

// usageOf asks the kernel, so that it costs the process nothing. The clock is that
// of clock_getcpuclockid(3), which counts in nanoseconds.
func usageOf(pid int) (usage, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return usage{}, fmt.Errorf("the processor time of process %d: %w", pid, err)
	}
	wrote, err := field(pid, "io", "wchar:")
	return usage{time.Duration(t.Nano()), wrote}, err
}

// resident is a process's memory now, peak the most since forgetPeak, in bytes.
func resident(pid int) (int64, error) {
	n, err := field(pid, "status", "VmRSS:")
	return n << 10, err
}

func peak(pid int) (int64, error) {
	n, err := field(pid, "status", "VmHWM:")
	return n << 10, err
}

// forgetPeak makes the peak start from what is resident now (proc_pid_clear_refs(5)).
func forgetPeak(pid int) error {
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
