package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Nobody reads: whoever logs goes on, what waits is bounded, and when someone reads
// again they are told how much they missed.
func TestLogThatNobodyReads(t *testing.T) {
	reader, pipe := io.Pipe()
	w := newLogWriter(pipe, func(lost int) []byte { return fmt.Appendf(nil, "lost %d\n", lost) })
	log := slog.New(slog.NewTextHandler(w, nil))
	const lines = 30_000
	message := strings.Repeat("x", 200)
	for range lines { // the test's time limit is what a writer that waits would meet
		log.Info(message)
	}
	w.mu.Lock()
	waiting, size, lost := len(w.queue), w.size, w.lost
	w.mu.Unlock()
	if size > maxLog || lost == 0 {
		t.Fatalf("%d lines of %d bytes wait, %d are lost", waiting, size, lost)
	}
	read, said := 0, 0
	for s := bufio.NewScanner(reader); said == 0 && s.Scan(); {
		if _, err := fmt.Sscanf(s.Text(), "lost %d", &said); err != nil {
			read++
		}
	}
	if read+said != lines {
		t.Errorf("%d lines were read, and %d said to be lost, of %d", read, said, lines)
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	w.close(time.Minute)
}

// What was logged is there when the program ends; one that can't be written does
// not keep it from ending.
func TestLogAtTheEnd(t *testing.T) {
	var b strings.Builder
	w := newLogWriter(&b, nil)
	for i := range 100 {
		fmt.Fprintln(w, i)
	}
	w.close(time.Minute)
	if n := strings.Count(b.String(), "\n"); n != 100 {
		t.Errorf("%d lines of 100 were written", n)
	}
	_, pipe := io.Pipe()
	w = newLogWriter(pipe, nil)
	fmt.Fprintln(w, "nobody reads this")
	w.close(time.Millisecond)
}

// A terminal that is gone fails each write: nothing piles up, and no one is told.
func TestLogToNowhere(t *testing.T) {
	w := newLogWriter(gone{}, nil)
	for range 10 {
		fmt.Fprintln(w, "x")
	}
	w.close(time.Minute)
	if len(w.queue) != 0 || w.lost != 0 {
		t.Errorf("%d lines wait, %d are lost", len(w.queue), w.lost)
	}
}

type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, errors.New("input/output error") }
