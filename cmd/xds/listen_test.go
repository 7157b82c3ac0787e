package main

import (
	"net"
	"path/filepath"
	"testing"
)

// A server that was killed leaves its socket, which is in nobody's way; one that runs is not
// pushed aside.
func TestListenAtSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xds.sock")
	killed, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	killed.SetUnlinkOnClose(false)
	if err := killed.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := listenAt(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatalf("after a server that was killed: %v", err)
	}
	defer l.Close()
	if other, err := listenAt(t.Context(), "unix:"+path); err == nil {
		other.Close()
		t.Error("the socket of a server that runs was taken from it")
	}
}
