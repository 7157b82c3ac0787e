package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

// client is one keep-alive connection, with one request under way.
type client struct {
	conn    net.Conn
	request []byte
	answer  []byte // room for one; all are equally long
	status  []byte
}

// dial sends a first request, to learn how long the answers are.
func dial(address, headers, token string) (*client, int, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, 0, err
	}
	c := &client{conn: conn, request: fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: bench\r\n%sToken: %s\r\n\r\n", headers, token)}
	if _, err := conn.Write(c.request); err != nil {
		return nil, 0, errors.Join(err, conn.Close())
	}
	var first bytes.Buffer
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &first)), nil)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if err != nil {
		return nil, 0, errors.Join(err, conn.Close())
	}
	c.answer = make([]byte, first.Len())
	c.status = bytes.Clone(first.Bytes()[:len("HTTP/1.1 200")])
	return c, resp.StatusCode, nil
}

func (c *client) once() error {
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.conn, c.answer); err != nil {
		return err
	}
	if !bytes.HasPrefix(c.answer, c.status) || c.answer[len(c.answer)-1] == '\r' {
		return fmt.Errorf("an answer of another kind: %q", c.answer)
	}
	return nil
}

// clients are the connections to one side.
type clients []*client

// connect opens them and checks the status of the first answers; 0 for any. headers
// are lines that end with CRLF.
func connect(address, headers, token string, n, status int) (clients, error) {
	var all clients
	for range n {
		c, got, err := dial(address, headers, token)
		if err != nil {
			return all, err
		}
		all = append(all, c)
		if status != 0 && got != status {
			return all, fmt.Errorf("answered %d, want %d", got, status)
		}
	}
	return all, nil
}

func (all clients) close() {
	for _, c := range all {
		_ = c.conn.Close()
	}
}

// run keeps every connection busy for a slice and returns how many requests were
// answered in what time.
func (all clients) run(ctx context.Context, slice time.Duration) (float64, time.Duration, error) {
	var wg sync.WaitGroup
	var count atomic.Int64
	errs := make([]error, len(all))
	begin := time.Now()
	for i, c := range all {
		wg.Go(func() {
			n := int64(0)
			for time.Since(begin) < slice && ctx.Err() == nil && errs[i] == nil {
				errs[i] = c.once()
				n++
			}
			count.Add(n)
		})
	}
	wg.Wait()
	return float64(count.Load()), time.Since(begin), errors.Join(append(errs, ctx.Err())...)
}

// answers waits until an Envoy answers.
func answers(ctx context.Context, address string, p *envoy.Proxy) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return rig.Until(ctx, func() error {
		select {
		case <-p.Done():
			return rig.Never(p.Err())
		default:
			_, err := rig.Ask(ctx, address, "token", "7")
			return err
		}
	})
}

// cpu is the processor time that a process has used. Linux only; elsewhere 0.
func cpu(pid int) time.Duration {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	sum := time.Duration(0)
	for _, file := range files {
		text, _ := os.ReadFile(file)
		first, _, _ := bytes.Cut(text, []byte(" "))
		ns, _ := strconv.ParseInt(string(first), 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}
