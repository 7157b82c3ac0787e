package sandbox

import (
	"os"
	"runtime"
	"runtime/debug"
)

// The heap of a child. By both numbers the first try of a module costs what it costs in the server's own process, and
// not 40 ms more (BenchmarkTry).
const (
	// room is what the heap has before there is a job, in bytes: what a try of a filter built by Go takes. The
	// kernel gives a page when it is first touched, which would happen 20,000 times in such a try, and be a
	// third of its time.
	room = 96 << 20
	// collectAt is how much the heap may grow before the collector runs, in percent of what is in use. The usual 100
	// has it run often while the heap is small, and give the room back to the system.
	collectAt = 400
)

// makeRoom touches the heap that the first job needs, and keeps it: as long as the collector does not run by
// itself, nothing is given back.
func makeRoom() {
	debug.SetGCPercent(-1) // until there is a job
	pages := make([]byte, room)
	for i := 0; i < len(pages); i += os.Getpagesize() {
		pages[i] = 1
	}
	runtime.KeepAlive(pages)
	runtime.GC() // they are free from here on
}
