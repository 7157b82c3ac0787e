package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// envoys is the processor of the Envoys; empty before ownProcessor or where there is
// only one.
var envoys unix.CPUSet

// ownProcessor leaves the first processor to the Envoys, if there are others; the
// returned function lets this process run anywhere again.
func ownProcessor() (release func(), err error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return nil, fmt.Errorf("processors: %w", err)
	}
	if all.Count() == 1 {
		return func() {}, nil
	}
	load := all
	load.Clear(first(&all))
	envoys.Set(first(&all))
	return func() { _ = pin(os.Getpid(), &all) }, pin(os.Getpid(), &load)
}

// otherProcessor puts an Envoy on the processor that is left to it.
func otherProcessor(pid int) error {
	if envoys.Count() == 0 {
		return nil
	}
	return pin(pid, &envoys)
}

func first(set *unix.CPUSet) int {
	i := 0
	for !set.IsSet(i) {
		i++
	}
	return i
}

// pin has all threads of a process run where the set says; those that they start
// follow them.
func pin(pid int, set *unix.CPUSet) error {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return err
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, set); err != nil && err != unix.ESRCH { // it has ended
			return err
		}
	}
	return nil
}
