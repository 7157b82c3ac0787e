package main

import (
	"io"
	"sync"
	"time"
)

// maxLog is how many bytes of log lines wait to be written.
const maxLog = 4 << 20

// A logWriter writes lines beside who logs them: a terminal that is stopped, or a
// pipe that nobody reads, must not stop the loop or a proxy's stream. What does not
// fit meanwhile is lost, and how much is said when the rest was written.
type logWriter struct {
	out  io.Writer
	note func(lost int) []byte // a line that says so

	mu     sync.Mutex
	queue  [][]byte
	size   int // of the queue, in bytes
	lost   int // lines, since the last note
	ended  bool
	wake   chan struct{} // holds a token when there may be something to do
	closed chan struct{} // closed when all is written after the end
}

func newLogWriter(out io.Writer, note func(lost int) []byte) *logWriter {
	w := &logWriter{out: out, note: note, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	go w.run()
	return w
}

// Write implements io.Writer; it neither waits nor fails.
func (w *logWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	if w.size+len(line) > maxLog || w.ended {
		w.lost++
	} else {
		w.queue = append(w.queue, append([]byte(nil), line...))
		w.size += len(line)
	}
	w.mu.Unlock()
	w.signal()
	return len(line), nil
}

func (w *logWriter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *logWriter) run() {
	defer close(w.closed)
	for range w.wake {
		for line := w.next(); line != nil; line = w.next() {
			if _, err := w.out.Write(line); err != nil {
				w.failed() // a terminal that is gone, say: what else could it be told to
			}
		}
		w.mu.Lock()
		ended := w.ended
		w.mu.Unlock()
		if ended {
			return
		}
	}
}

// next is the oldest line, or, when there is none, a note of those that were lost.
func (w *logWriter) next() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) > 0 {
		line := w.queue[0]
		w.queue = w.queue[1:]
		w.size -= len(line)
		return line
	}
	w.queue = nil // and its array
	if w.lost == 0 {
		return nil
	}
	lost := w.lost
	w.lost = 0
	return w.note(lost)
}

// failed drops what waits: where one line can't be written the next can't, until a
// later one tries again.
func (w *logWriter) failed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue, w.size, w.lost = nil, 0, 0
}

// close writes what waits, for as long as patience allows.
func (w *logWriter) close(patience time.Duration) {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	w.signal()
	select {
	case <-w.closed:
	case <-time.After(patience):
	}
}
