package snapshot

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	_ "github.com/waxwing-xds/waxwing/internal/extensions"
	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A revision of the state directory is refused, or is what it says: written and read again it is
// the same to the byte, and whatever is made of one before proxies get it is made without a panic.
// The checksum and the name are right in all of them, else nothing behind these were tried.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("../control/testdata/*/revisions/*/*.pb")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) > sha256.Size {
			f.Add(data[sha256.Size:])
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		s, err := decodeNamed(message)
		if err != nil {
			return
		}
		once, err := s.Encode()
		if err != nil {
			t.Fatalf("it is read, and can't be written: %v", err)
		}
		again, err := Decode("edge", once)
		if err != nil || again.ID != s.ID {
			t.Fatalf("it is written, and can't be read: %v", err)
		}
		twice, err := again.Encode()
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("written twice it is not the same (%v)", err)
		}
		for _, k := range fleet.Kinds {
			for _, name := range s.Required(k.Type) {
				if s.Get(k.Type, name) == nil {
					t.Errorf("%s %q is required, and is not there", k.Type, name)
				}
			}
		}
		if again.Questions() != s.Questions() || len(s.Changes(again)) > 0 {
			t.Errorf("written and read, its %q have changed", s.Changes(again))
		}
		used(t, s)
	})
}

// used makes of a revision what a server does that has read it.
func used(t *testing.T, s *Snapshot) {
	t.Helper()
	both := Compose(s, s, "x")
	for _, of := range []*Snapshot{s, both} {
		if _, err := of.For(&corev3.Node{Id: "a"}, 1, nil); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
		of.Live()
		of.VMs()
		of.OwnAnswers()
		of.Certificates()
	}
	if closed, err := Closed(s); err == nil && closed.ID == s.ID {
		t.Error("a closed revision has the name of the open one")
	}
	if changes, err := Diff(s, s); err == nil && len(changes) > 0 {
		t.Errorf("it differs from itself: %v", changes)
	}
}

// decodeNamed reads a message under the name that its content has.
func decodeNamed(message []byte) (*Snapshot, error) {
	s, err := Decode("edge", summed(message))
	if err == nil {
		return s, nil
	}
	_, name, wrong := strings.Cut(err.Error(), "its content is that of ")
	var m discoveryv3.DeltaDiscoveryResponse
	if !wrong || proto.Unmarshal(message, &m) != nil {
		return nil, err
	}
	m.SystemVersionInfo = name
	if message, err = proto.Marshal(&m); err != nil {
		return nil, err
	}
	return Decode("edge", summed(message))
}

// summed is a message behind its checksum.
func summed(message []byte) []byte {
	sum := sha256.Sum256(message)
	return append(sum[:], message...)
}
