package sandbox

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/waxwing-xds/waxwing/internal/preflight"
)

func init() {
	programs["server"] = func() int {
		p := New(slog.New(slog.DiscardHandler), preflight.Limits{}, nil)
		<-p.warm.started
		fmt.Println(p.warm.cmd.Process.Pid)
		select {}
	}
}

// When the server is killed, its children end.
func TestNoOrphans(t *testing.T) {
	server := exec.Command("/proc/self/exe", "server")
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	child, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	_ = server.Process.Kill()
	_ = server.Wait()
	ended, err := unix.Poll([]unix.PollFd{{Fd: int32(child), Events: unix.POLLIN}}, int(10*time.Second/time.Millisecond))
	if err != nil || ended != 1 {
		t.Errorf("its child is there: %v", err)
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// Children have the name of the program that started them, and nothing of its environment.
func TestEnvironment(t *testing.T) {
	p := pool(t, Argument, preflight.Limits{})
	<-p.warm.started
	for file, want := range map[string]string{"environ": "", "cmdline": os.Args[0] + "\x00sandbox\x00"} {
		got, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.warm.cmd.Process.Pid, file))
		if err != nil || string(got) != want {
			t.Errorf("%s is %q (%v), want %q", file, got, err, want)
		}
	}
}
