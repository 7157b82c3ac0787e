package xds

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// Attacks run in a process of their own, which is this test's binary: so what the server holds
// can be told from what they do.

// attackEnv has the kind of attack, the address of the server and how many streams.
const attackEnv = "WAXWING_ATTACK"

// stranger is the address from which they come; honest proxies come from 127.0.0.1.
var stranger = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}

// attack is whether this process is one; it lasts until its standard input ends.
func attack(what string) bool {
	var kind, address string
	var n int
	if _, err := fmt.Sscan(what, &kind, &address, &n); err != nil {
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx, kind, address, n)
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	<-done
	return true
}

// perConn is how many streams go by a connection.
const perConn = 500

func run(ctx context.Context, kind, address string, n int) {
	var tried atomic.Int64
	say := func() {
		if tried.Add(1) == int64(n) {
			fmt.Println("under way")
		}
	}
	var group sync.WaitGroup
	for first := 0; first < n; first += perConn {
		if kind == "unfinished" {
			group.Go(func() { unfinished(ctx, address, min(perConn, n-first), say) })
			continue
		}
		conn := dialStranger(address)
		defer conn.Close()
		for i := first; i < min(n, first+perConn); i++ {
			group.Go(func() { bother(ctx, kind, conn, fmt.Sprint("stranger-", i), say) })
		}
	}
	group.Wait()
}

func dialStranger(address string) *grpc.ClientConn {
	conn, err := grpc.NewClient("passthrough:"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: stranger}).DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		panic(err)
	}
	return conn
}

// bother opens a stream, does its worst on it, and opens another when that has ended.
func bother(ctx context.Context, kind string, conn *grpc.ClientConn, id string, say func()) {
	said := sync.OnceFunc(say)
	for again := 0; ctx.Err() == nil; again++ {
		stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx, grpc.ForceCodecV2(raw{encoding.GetCodecV2("proto")}))
		if err == nil {
			err = attacks[kind](stream, id, said)
		}
		if said(); err == nil {
			<-ctx.Done()
		}
	}
}

type adsStream = discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient

// greet says hello, and that it was said.
func greet(s adsStream, id string, said func()) error {
	err := s.Send(hello(id))
	if err == nil {
		said()
	}
	return err
}

// attacks return an error when their stream ends.
var attacks = map[string]func(s adsStream, id string, said func()) error{
	// It opens streams, and opens again those that are refused.
	"streams": func(s adsStream, id string, said func()) error {
		if err := s.Send(hello(id)); err != nil {
			return err
		}
		return converse(s, said, func(*discoveryv3.DeltaDiscoveryResponse) bool { return false })
	},
	// It tells of a node with 4 MB of metadata, in small fields, of which half are labels.
	"metadata": func(s adsStream, id string, said func()) error {
		if err := s.SendMsg(fat()); err != nil {
			return err
		}
		return converse(s, said, func(*discoveryv3.DeltaDiscoveryResponse) bool { return false })
	},
	// It asks for a million names.
	"names": func(s adsStream, id string, said func()) error {
		if err := greet(s, id, said); err != nil {
			return err
		}
		for _, part := range million() {
			if err := s.SendMsg(part); err != nil {
				_, err := s.Recv()
				return err
			}
		}
		_, err := s.Recv()
		for err == nil {
			_, err = s.Recv()
		}
		return err
	},
	// It asks for all again and again, and reads nothing.
	"deaf": func(s adsStream, id string, said func()) error {
		if err := greet(s, id, said); err != nil {
			return err
		}
		for {
			if err := s.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.ExtensionConfigType, ResourceNamesSubscribe: []string{"auth"}}); err != nil {
				return err
			}
		}
	},
	// It asks for the filter, which is large, and never answers.
	"mute": func(s adsStream, id string, said func()) error {
		err := s.Send(hello(id))
		if err == nil {
			err = s.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.ExtensionConfigType, ResourceNamesSubscribe: []string{"auth"}})
		}
		for err == nil {
			said()
			_, err = s.Recv()
		}
		return err
	},
	// It asks as fast as it can.
	"fast": func(s adsStream, id string, said func()) error {
		if err := greet(s, id, said); err != nil {
			return err
		}
		go func() {
			for {
				if _, err := s.Recv(); err != nil {
					return
				}
			}
		}()
		for {
			if err := s.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.ClusterType, ResourceNamesSubscribe: []string{"*"}}); err != nil {
				return err
			}
		}
	},
	// It comes and goes as fast as it can.
	"restless": func(s adsStream, id string, said func()) error {
		err := s.Send(hello(id))
		if err == nil {
			err = s.CloseSend()
		}
		for err == nil {
			_, err = s.Recv()
		}
		said()
		return err
	},
}

func hello(id string) *discoveryv3.DeltaDiscoveryRequest {
	return &discoveryv3.DeltaDiscoveryRequest{Node: xdstest.Node(id, "edge", nil), TypeUrl: resource.ClusterType}
}

func converse(s adsStream, said func(), answers func(*discoveryv3.DeltaDiscoveryResponse) bool) (err error) {
	said()
	for err == nil {
		var r *discoveryv3.DeltaDiscoveryResponse
		if r, err = s.Recv(); err == nil && answers(r) {
			err = s.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()})
		}
	}
	return err
}

// fat is a request of 4 MB, marshalled once: attackers have other things to do.
var fat = sync.OnceValue(func() []byte {
	labels, rest := map[string]*structpb.Value{}, map[string]*structpb.Value{}
	for i := range 85000 {
		labels[fmt.Sprintf("%08d", i)] = structpb.NewStringValue("x")
		rest[fmt.Sprintf("%08d", i)] = structpb.NewStringValue("x")
	}
	rest["labels"] = structpb.NewStructValue(&structpb.Struct{Fields: labels})
	ask := hello("stranger-fat")
	ask.Node.Metadata = &structpb.Struct{Fields: rest}
	b, err := proto.Marshal(ask)
	if err != nil {
		panic(err)
	}
	return b
})

// million are requests for a million names.
var million = sync.OnceValue(func() (parts [][]byte) {
	for part := range 250 {
		ask := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.SecretType}
		for i := range 4000 {
			ask.ResourceNamesSubscribe = append(ask.ResourceNamesSubscribe, fmt.Sprint(part, "-", i))
		}
		b, err := proto.Marshal(ask)
		if err != nil {
			panic(err)
		}
		parts = append(parts, b)
	}
	return parts
})

// raw is gRPC's codec, which sends bytes as they are.
type raw struct{ encoding.CodecV2 }

func (r raw) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return r.CodecV2.Marshal(v)
}

// unfinished sends on each of its streams all but the end of a request of 4 MB. No client of gRPC
// does that, so it speaks HTTP/2 itself.
func unfinished(ctx context.Context, address string, n int, say func()) {
	saying := sync.OnceFunc(func() {
		for range n {
			say()
		}
	})
	defer saying()
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{LocalAddr: stranger}).DialContext(ctx, "tcp", address)
		if err != nil {
			continue
		}
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		w := &rawConn{Conn: conn, window: 65535, streams: map[uint32]*rawStream{}}
		w.attack(address, n, saying)
		conn.Close()
		stop()
	}
}

const almost = 4<<20 - 1000 // bytes of a request of 4 MB

type rawStream struct{ window, left int }

type rawConn struct {
	net.Conn
	window  int
	streams map[uint32]*rawStream
}

func (c *rawConn) attack(address string, n int, saying func()) {
	_, _ = c.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	c.frame(4, 0, 0, nil)
	for i := range n {
		id := uint32(2*i + 1)
		var head bytes.Buffer
		for _, h := range [][2]string{
			{":method", "POST"}, {":scheme", "http"}, {":authority", address}, {"content-type", "application/grpc"}, {"te", "trailers"},
			{":path", "/" + discoveryv3.AggregatedDiscoveryService_ServiceDesc.ServiceName + "/DeltaAggregatedResources"},
		} {
			if strings.HasPrefix(h[0], ":") {
				head.Write(literal(h))
			}
		}
		head.Write(literal([2]string{"content-type", "application/grpc"}))
		head.Write(literal([2]string{"te", "trailers"}))
		c.frame(1, 4, id, head.Bytes())
		c.streams[id] = &rawStream{window: 65535, left: almost}
		c.data(id, binary.BigEndian.AppendUint32([]byte{0}, 4<<20-10))
	}
	var head [9]byte
	for {
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		body := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		id := binary.BigEndian.Uint32(head[5:])
		switch {
		case head[3] == 4 && head[4] == 0:
			c.frame(4, 1, 0, nil)
		case head[3] == 8 && id == 0:
			c.window += int(binary.BigEndian.Uint32(body))
		case head[3] == 8 && c.streams[id] != nil:
			c.streams[id].window += int(binary.BigEndian.Uint32(body))
		case head[3] == 6 && head[4] == 0:
			c.frame(6, 1, 0, body)
		}
		c.fill()
		saying()
	}
}

// fill sends what may be sent.
func (c *rawConn) fill() {
	piece := make([]byte, 16384)
	for id, s := range c.streams {
		for s.left > 0 && s.window > 0 && c.window > 0 {
			n := min(s.left, s.window, c.window, len(piece))
			if !c.data(id, piece[:n]) {
				return
			}
			s.left -= n
		}
	}
}

func (c *rawConn) data(id uint32, b []byte) bool {
	c.window -= len(b)
	c.streams[id].window -= len(b)
	return c.frame(0, 0, id, b)
}

func (c *rawConn) frame(kind, flags byte, id uint32, body []byte) bool {
	head := []byte{byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body)), kind, flags}
	_, err := c.Write(append(binary.BigEndian.AppendUint32(head, id), body...))
	return err == nil
}

// literal is a header by HPACK, as it is: https://www.rfc-editor.org/rfc/rfc7541#section-6.2.2
func literal(h [2]string) []byte {
	return []byte("\x00" + string(rune(len(h[0]))) + h[0] + string(rune(len(h[1]))) + h[1])
}
