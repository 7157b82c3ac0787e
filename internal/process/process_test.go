package process

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A process that ends by itself says how, and what it wrote last.
func TestEndsByItself(t *testing.T) {
	p, err := Start(exec.Command("sh", "-c", "echo first; echo why >&2; exit 3"), filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if err := p.Err(); !strings.Contains(err.Error(), "sh ended (exit status 3): first | why") {
		t.Errorf("it says %v", err)
	}
	p.Stop() // does nothing any more
}

// One that is told to end has ended then, and its log is kept for the next.
func TestStopAndStartAgain(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	for n := range 2 {
		p, err := Start(exec.Command("sh", "-c", "echo started; exec sleep 600"), log)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			p.Stop()
		} else {
			p.Kill()
		}
		if p.Ended() == nil {
			t.Error("it ended with exit status 0")
		}
	}
	if _, err := Start(exec.Command("no-such-program"), log); err == nil {
		t.Error("what does not exist was started")
	}
}
