package main

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each way to end the demo ends what it started: a signal that was not taken
// would kill the demo, here the test, and leave the rest running.
func TestEveryWayToEndIt(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		ctx, stop := untilEnded()
		if err := syscall.Kill(syscall.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Second):
			t.Errorf("%v does not end the demo", s)
		}
		stop()
	}
}

// A port that another has is said before anything is built.
func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", echoAddress)
	if err == nil {
		defer l.Close()
	} // else it is in use already
	if err := portsFree(1); err == nil || !strings.Contains(err.Error(), "is in use: end what listens there") {
		t.Errorf("with a port in use: %v", err)
	}
}
