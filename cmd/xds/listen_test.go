package main

import (
	"path/filepath"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// A server that was killed leaves its socket, which is in nobody's way; one that runs is not
// pushed aside.
func TestListenAtSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xds.sock")
	if err := rig.LeaveSocket(path); err != nil {
		t.Fatal(err)
	}
	l, err := listenAt(t.Context(), "unix:"+path, byUmask)
	if err != nil {
		t.Fatalf("after a server that was killed: %v", err)
	}
	defer l.Close()
	if other, err := listenAt(t.Context(), "unix:"+path, byUmask); err == nil {
		other.Close()
		t.Error("the socket of a server that runs was taken from it")
	}
}
