package control

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/waxwing-xds/waxwing/internal/store"
)

// noSalt is a state directory that takes no salt for a while.
type noSalt struct {
	*store.Dir
	fails int
}

func (s *noSalt) Salt() (string, error) {
	if s.fails--; s.fails >= 0 {
		return "", errors.New("the disk is full")
	}
	return s.Dir.Salt()
}

// A state directory of a server that had no salt gets one; the rollout under way in it goes on
// without.
func TestStatesWithoutASaltGetOne(t *testing.T) {
	path := copyOf(t, "testdata/format-1")
	c, _ := idleIn(t, path)
	if _, err := os.Stat(filepath.Join(path, "salt")); err != nil || c.salt.is == "" {
		t.Errorf("there is no salt: %v", err)
	}
	if r := c.fleets["edge"].rollout.Rollout; r == nil || r.Salted {
		t.Errorf("its rollout is %+v", r)
	}
}

// Where the directory does not take it there is none, until it does.
func TestSaltIsTriedAgain(t *testing.T) {
	c := idle(t)
	change(t, c, fleetYAML)
	c.disk()
	full := &noSalt{Dir: c.Store.(*store.Dir), fails: 2}
	c.Store, c.salt = full, salt{}
	c.fleets["edge"].rollout.SetSalt("")
	for i := range 3 {
		if c.readSalt(); (c.salt.is != "") != (i == 2) {
			t.Fatalf("try %d: the salt is %q", i, c.salt.is)
		}
		c.salt.retryAt = time.Time{} // else it is left to retrySalt
	}
	full.fails, c.salt = 1, salt{retryAt: time.Now().Add(-time.Second)}
	c.retrySalt()
	c.disk()
	if c.salt.is != "" || c.salt.retryAt.Before(time.Now()) {
		t.Errorf("after a try in vain: %+v", c.salt)
	}
	c.salt.retryAt = time.Now().Add(-time.Second)
	c.retrySalt()
	c.disk()
	if c.salt.is == "" || !c.salt.retryAt.IsZero() {
		t.Errorf("after one that was not: %+v", c.salt)
	}
}
