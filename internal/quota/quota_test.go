package quota

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

func clients(limits Limits) *Clients { return New(slog.New(slog.DiscardHandler), limits) }

func (all *Clients) named(name string) *Client {
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.client(name)
}

// frame is an HTTP/2 frame.
func frame(kind, flags byte, id uint32, body ...byte) []byte {
	head := []byte{byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body)), kind, flags}
	return append(binary.BigEndian.AppendUint32(head, id), body...)
}

// message is a request of gRPC with so many bytes.
func message(n int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(n)), make([]byte, n)...)
}

// Whatever pieces it comes in, what has come of requests and was not taken is known.
func TestUnread(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		all := clients(Limits{})
		c := all.conn(nil, "a")
		in := make([]byte, prefaceSize)
		in = append(in, frame(frameHeaders, 4, 1)...)
		in = append(in, frame(frameHeaders, 4, 3)...)
		both := append(message(100), message(0)...)
		both = append(both, message(70000)...)
		in = append(in, frame(frameData, 0, 1, both[:50]...)...)
		in = append(in, frame(frameData, 0, 3, message(20)...)...)
		in = append(in, frame(frameData, 0, 1, both[50:60000]...)...)
		in = append(in, frame(6, 0, 0, make([]byte, 8)...)...)     // a ping
		in = append(in, frame(frameData, 0, 7, message(20)...)...) // of a stream that is not there
		c.mu.Lock()
		for len(in) > 0 {
			n := 1 + random.IntN(min(len(in), 9000))
			c.in.take(in[:n])
			in = in[n:]
		}
		c.mu.Unlock()
		want := func(what string, n int) {
			t.Helper()
			if c.unread != n {
				t.Fatalf("seed %d: %s: %d bytes are unread, want %d", seed, what, c.unread, n)
			}
		}
		want("after all has come", 60000+25)
		if c.came != 3 {
			t.Errorf("%d requests have come, want 3", c.came)
		}
		c.took(1)
		want("after the first was taken", 60000-105+25)
		c.took(1)
		c.took(1) // the third is not there yet
		want("after the second was taken", 60000-110+25)
		c.answered(1)
		want("after the stream has ended", 25)
		c.mu.Lock()
		c.in.take(frame(frameReset, 0, 3, 0, 0, 0, 8))
		c.mu.Unlock()
		want("after the client has given up the other", 0)
		if len(c.requests) != 0 {
			t.Errorf("streams are remembered: %v", c.requests)
		}
	}
}

// FuzzFrames: nothing that comes by a connection has it fail, or count what is not there.
func FuzzFrames(f *testing.F) {
	f.Add(append(make([]byte, prefaceSize), frame(frameHeaders, 4, 1)...), 3)
	f.Add(append(append(make([]byte, prefaceSize), frame(frameHeaders, 4, 1)...), frame(frameData, 8, 1, 200, 1)...), 1)
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		c := clients(Limits{}).conn(nil, "a")
		size := len(in)
		for piece = 1 + max(piece, -piece)%100; len(in) > 0; {
			n := min(max(piece, 1), len(in))
			c.in.take(in[:n])
			in = in[n:]
		}
		if c.unread < 0 || c.unread > size {
			t.Errorf("%d bytes are unread of %d", c.unread, size)
		}
	})
}

// Where all streams are taken, who has most gives way to who has less, and nobody to who has as many.
func TestFairShare(t *testing.T) {
	all := clients(Limits{Streams: 10, ClientStreams: 8})
	open := func(name string) error {
		return all.open(&stream{client: all.named(name), kind: ADS, ServerStream: nowhere{}})
	}
	for i := range 12 {
		if err := open("greedy"); (err == nil) != (i < 8) {
			t.Errorf("stream %d of the greedy one: %v", i, err)
		}
	}
	for i := range 8 {
		if err := open("other"); (err == nil) != (i < 5) {
			t.Errorf("stream %d of the other: %v", i, err)
		}
	}
	if a, b := all.named("greedy").streams[ADS], all.named("other").streams[ADS]; a != 5 || b != 5 || all.streams[ADS] != 10 {
		t.Errorf("they have %d and %d, in all %d", a, b, all.streams[ADS])
	}
	if f := all.Figures(); f.Refused[string(Fair)] != 3 || f.Refused[string(ClientStreams)] != 4 || f.Refused[string(Streams)] != 3 {
		t.Errorf("refused: %v", f.Refused)
	}
}

// What is kept is bounded for one, and for all; a little is everyone's.
func TestKept(t *testing.T) {
	all := clients(Limits{Kept: 20 << 20, ClientKept: 15 << 20})
	a, b, c := all.named("a"), all.named("b"), all.named("c")
	if err := a.Keep(15 << 20); err != nil {
		t.Error(err)
	}
	if err := a.Keep(1); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("past its bound: %v", err)
	}
	if err := b.Keep(5 << 20); err != nil {
		t.Error(err)
	}
	if err := b.Keep(1); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("past that of all: %v", err)
	}
	if err := c.Keep(4 << 20); err != nil {
		t.Errorf("of one that has next to nothing: %v", err)
	}
	for client, n := range map[*Client]int{a: 15 << 20, b: 5 << 20, c: 4 << 20} {
		if err := client.Keep(-n); err != nil {
			t.Error(err)
		}
	}
	if f := all.Figures(); f.Kept != 0 {
		t.Errorf("%d bytes are kept of nothing", f.Kept)
	}
}

// Who asks too often is read more slowly, who has more streams may ask more often, and all is
// forgotten after a while.
func TestRequestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := clients(Limits{ClientRequests: 1000})
		a := all.named("a")
		if d := a.count(0, alone*burst); d != 0 {
			t.Errorf("what it may send at once is delayed by %v", d)
		}
		if d := a.count(0, alone); d != time.Second {
			t.Errorf("what is for a second more is delayed by %v", d)
		}
		b := all.named("b")
		b.streams[ADS] = 1000
		if d := b.count(0, 1000*burst); d != 0 {
			t.Errorf("with many streams it is delayed by %v", d)
		}
		if d := b.count(0, 1000); d != time.Second {
			t.Errorf("and at most so many are read a second: %v", d)
		}
		if d := all.Figures().Refused[string(Requests)]; d != 2 {
			t.Errorf("counted %d times", d)
		}
		<-time.After(forget + time.Second)
		if n := all.Len(); n != 0 {
			t.Errorf("%d clients are remembered", n)
		}
	})
}

// A client with too much that does not come to an end is not read, and then its connection ends.
func TestWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := clients(Limits{ClientUnread: 1000})
		here, there := net.Pipe()
		defer here.Close()
		c := all.conn(here, "a")
		defer c.Close()
		go func() {
			part := append(make([]byte, prefaceSize), frame(frameHeaders, 4, 1)...)
			_, _ = there.Write(append(part, frame(frameData, 0, 1, message(5000)[:2000]...)...))
		}()
		begun, buffer := time.Now(), make([]byte, 4096)
		var err error
		for err == nil {
			_, err = c.Read(buffer)
		}
		if err != errUnread || time.Since(begun) < patience || time.Since(begun) > 2*patience { //nolint:errorlint // it is never wrapped
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
	})
}

// Addresses are who they are for one who can have many of them.
func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.7:1": "10.0.0.7", "[2001:db8::1:2]:1": "2001:db8::/64", "[2001:db8::ffff:ffff:ffff:1]:1": "2001:db8::/64", "[::1]:1": "::1",
	} {
		address, err := net.ResolveTCPAddr("tcp", text)
		if err != nil {
			t.Fatal(err)
		}
		if got := nameOf(address); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
	if got := nameOf(&net.UnixAddr{Name: "/run/x"}); got != "the socket" {
		t.Error(got)
	}
}

// The connections of an address are bounded, and those that have ended make room.
func TestConnections(t *testing.T) {
	all := clients(Limits{ClientStreams: 3})
	var open []net.Conn
	for i := range 5 {
		here, there := net.Pipe()
		defer there.Close()
		conn := all.accept(here)
		if (conn != nil) != (i < 3) {
			t.Errorf("connection %d: %v", i, conn)
		}
		if conn != nil {
			open = append(open, conn)
		}
	}
	for range 2 { // to close again is nothing
		_ = open[0].Close()
	}
	here, there := net.Pipe()
	defer there.Close()
	if all.accept(here) == nil {
		t.Error("one that has ended makes no room")
	}
	if fmt.Sprint(all.Figures().Refused[string(Connections)]) != "2" {
		t.Error(all.Figures().Refused)
	}
}

// Who opens streams without end is held to a rate; what it is refused does not make it longer.
func TestOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := clients(Limits{})
		c := all.named("a")
		open := func() error {
			s := &stream{client: c, kind: ADS, ServerStream: nowhere{}}
			err := all.open(s)
			all.close(s)
			return err
		}
		for i := range opensHeld {
			if err := open(); err != nil {
				t.Fatalf("stream %d: %v", i, err)
			}
		}
		for range 5000 {
			if err := open(); status.Code(err) != codes.ResourceExhausted {
				t.Fatal(err)
			}
		}
		<-time.After(time.Second / opensRate)
		if err := open(); err != nil {
			t.Errorf("after a while: %v", err)
		}
	})
}

// Each reason is logged once in a while, with how many lines were left out.
func TestRefusalsAreLoggedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		all := New(slog.New(slog.NewTextHandler(&out, nil)), Limits{ClientKept: 1})
		for range 1000 {
			_ = all.named("a").Keep(2)
		}
		<-time.After(logEvery)
		_ = all.named("b").Keep(2)
		if n := strings.Count(out.String(), "\n"); n != 2 || !strings.Contains(out.String(), "not_logged_before=999") {
			t.Errorf("%d lines: %s", n, out.String())
		}
	})
}

// A stream that says nothing is ended.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := clients(Limits{})
		ended := make(ending, 1)
		ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: address{conn: all.conn(nil, "a")}})
		ss := somewhere{ctx: grpc.NewContextWithServerTransportStream(ctx, ended)}
		begun := time.Now()
		err := all.Stream(nil, ss, &grpc.StreamServerInfo{FullMethod: "/x"}, func(any, grpc.ServerStream) error { return (<-ended).Err() })
		if status.Code(err) != codes.ResourceExhausted || time.Since(begun) != silence {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		if n := all.named("a").streams[Other]; n != 0 {
			t.Errorf("it has %d streams", n)
		}
	})
}
