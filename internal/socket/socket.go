// Package socket listens at Unix sockets: where a server that was killed has left one it is
// taken, and from a server that lives it never is.
package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// MaxPath is how long a socket's path may be, in bytes: 107 on Linux, 103 on macOS.
const MaxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// What Listen's errors are, for errors.Is.
var (
	ErrInUse   = errors.New("another server listens there")
	ErrTooLong = errors.New("the path is too long for a Unix socket")
)

// Listen opens a Unix socket. mode is that of the file, 0 leaves it to the umask.
func Listen(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	if len(path) > MaxPath {
		return nil, fmt.Errorf("%w: it has %d bytes, and may have %d: %s", ErrTooLong, len(path), MaxPath, path)
	}
	if strings.HasPrefix(path, "@") { // Linux' abstract ones have no file
		return new(net.ListenConfig).Listen(ctx, "unix", path)
	}
	unlock, err := lockFolder(ctx, filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := sweep(ctx, path); err != nil {
		return nil, err
	}
	return bind(ctx, path, mode)
}

func bind(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	var config net.ListenConfig
	if mode != 0 {
		// Linux makes the file with the mode of the descriptor, so that there is no moment
		// in which others may connect.
		config.Control = func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), uint32(mode.Perm())) }) // elsewhere the Chmod below has to do
		}
	}
	l, err := config.Listen(ctx, "unix", path)
	if err != nil || mode == 0 {
		return l, err
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("socket %s: %w", path, err), l.Close())
	}
	return l, nil
}

// sweep removes the socket of a server that is gone. Who holds the folder's lock is alone at it.
func sweep(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSocket == 0 {
		return nil //nolint:nilerr // what is in the way is said by who binds
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("socket %s: %w", path, ErrInUse), c.Close())
	case !errors.Is(err, syscall.ECONNREFUSED): // too many wait for it, say: somebody is there
		return fmt.Errorf("socket %s: %w: %w", path, ErrInUse, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("the socket of a server before: %w", err)
	}
	return nil
}

// lockPatience is how long another one may take to open a socket in the same folder.
const lockPatience = 5 * time.Second

// lockFolder keeps two servers that start at once from taking the same socket one after the
// other: the second would find that of the first between its bind and its listen.
func lockFolder(ctx context.Context, path string) (unlock func(), err error) {
	dir, err := os.Open(path)
	if err != nil {
		return func() {}, nil // who binds says it
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) { // a file system without locks is no reason not to serve
			return func() { _ = dir.Close() }, nil // it was only read
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("socket: somebody else has the lock of folder %s", path), dir.Close())
		}
	}
}
