package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/waxwing-xds/waxwing/internal/process"
)

// startServer runs the server and waits until it answers.
func (w *world) startServer() {
	w.t.Helper()
	w.server.Fleet = w.fleetPath()
	w.server.Flags = slices.Concat([]string{
		"--log-format", "json", "--preflight", map[bool]string{false: "on", true: "off"}[w.NoPreflight],
		"--preflight-start", "1m", "--preflight-call", "10s", // the machine has other tests to run
	}, w.Flags)
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	err := w.server.Start(ctx)
	if running := w.server.Process; running != nil {
		w.t.Cleanup(func() { w.endProcess(running, syscall.SIGTERM) })
	}
	if err != nil {
		w.t.Fatalf("waiting until the server answers: %v", err)
	}
}

// fleetPath is the fleet file, or the folder of several.
func (w *world) fleetPath() string {
	if dir := filepath.Join(w.dir, "fleets"); exists(dir) {
		return dir
	}
	return w.fleet
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// endServer ends the server: SIGKILL for a crash.
func (w *world) endServer(s syscall.Signal) { w.endProcess(w.server.Process, s) }

// crashServer kills the server, and starts it again.
func (w *world) crashServer() {
	w.t.Helper()
	w.endServer(syscall.SIGKILL)
	w.startServer()
}

func (w *world) endProcess(server *process.Process, s syscall.Signal) {
	server.Signal(s)
	<-server.Done()
	if err := server.Ended(); s == syscall.SIGTERM && err != nil && !strings.Contains(err.Error(), "killed") {
		w.t.Errorf("the server ended with %v", err)
	}
}

// log is that of every server that ran.
func (w *world) log() string {
	text, err := os.ReadFile(w.server.File("xds.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Error(err)
	}
	return string(text)
}
