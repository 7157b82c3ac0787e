package preflight

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// grpcStatus is how a gRPC call ended.
type grpcStatus struct {
	code    uint32
	message string
}

// A grpcStream is one that the filter has opened.
type grpcStream struct {
	said   *fleet.Callout // nil: nobody is there
	begun  bool           // its initial metadata are on their way
	closes bool           // it is to be closed
}

// maxService is how long the description of a gRPC service may be. What it is unpacked to is fifty times
// as large.
const maxService = 64 << 10

// gRPC's codes. https://grpc.github.io/grpc/core/md_doc_statuscodes.html
const (
	grpcDeadline    = 4
	grpcUnavailable = 14
)

// service reads what a call is to: a GrpcService, or the bare name of a cluster. A service
// without a target ends Envoy (1.40.0: "panic: unset oneof").
func (c *call) service() (cluster string, result status) {
	packed, readable := c.bytes(0)
	if !readable {
		return "", invalidMemoryAccess
	}
	if len(packed) > maxService {
		panic(stopped(fmt.Sprintf("it describes a gRPC service in %d bytes, and may in %d", len(packed), maxService)))
	}
	var service corev3.GrpcService
	if err := proto.Unmarshal(packed, &service); err != nil {
		if len(packed) == 0 || bytes.ContainsFunc(packed, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "", parseFailure // Envoy's word for a cluster that there is not
		}
		return string(packed), ok
	}
	if service.GetTargetSpecifier() == nil {
		panic(stopped("it calls a gRPC service without a target, which crashes Envoy"))
	}
	if google := service.GetGoogleGrpc(); google != nil {
		return google.GetTargetUri(), ok
	}
	return service.GetEnvoyGrpc().GetClusterName(), ok
}

// method is the path of a call, of which the names are arguments.
func (c *call) method() (path string, readable bool) {
	service, ok1 := c.text(2)
	method, ok2 := c.text(4)
	_, ok3 := c.bytes(6)
	return "/" + service + "/" + method, ok1 && ok2 && ok3
}

// grpcCall takes a call of one message, and its answer.
func (c *call) grpcCall() status {
	cluster, result := c.service()
	path, readable := c.method()
	_, ok1 := c.bytes(8)
	switch {
	case result != ok:
		return result
	case !readable || !ok1:
		return invalidMemoryAccess
	case len(c.vm.calls) >= maxCalls:
		return c.busy()
	}
	r, delay := grpcReply(c.vm.found(cluster, path))
	if timeout := time.Duration(c.u32(10)) * time.Millisecond; timeout > 0 && delay > timeout {
		r, delay = reply{grpc: grpcStatus{grpcDeadline, "upstream request timeout"}}, timeout
	}
	r.kind = grpcUnary
	c.vm.token++
	c.vm.soon(c.vm.token, delay, r, (*vm).grpcAnswered)
	return c.put32(11, c.vm.token)
}

// grpcReply is what a gRPC call gets, and when.
func grpcReply(said *fleet.Callout) (reply, time.Duration) {
	if said == nil {
		return reply{grpc: grpcStatus{grpcUnavailable, noUpstream}}, callout
	}
	r := reply{headers: fieldsFrom(said.Headers), trailers: fieldsFrom(said.Trailers)}
	if said.Body != nil {
		r.body = []byte(*said.Body)
	}
	switch {
	case said.Failure:
		r.grpc = grpcStatus{grpcUnavailable, "upstream connect error or disconnect/reset before headers. reset reason: connection termination"}
	case said.GRPC != nil:
		r.grpc = grpcStatus{uint32(*said.GRPC), said.Message}
	case said.Status != 0 && said.Status != 200:
		r.grpc = grpcStatus{codeOf(said.Status), said.Message}
	}
	return r, said.Delay
}

// codeOf is the gRPC code of an HTTP status.
// https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
func codeOf(status int) uint32 {
	switch status {
	case 400:
		return 13
	case 401:
		return 16
	case 403:
		return 7
	case 404:
		return 12
	case 429, 502, 503, 504:
		return grpcUnavailable
	}
	return 2
}

// grpcAnswered delivers the answer to a call, or its end without one.
func (v *vm) grpcAnswered(ctx context.Context, d due) error {
	v.status = d.reply.grpc
	if d.reply.grpc.code != 0 {
		_, err := v.call(ctx, rootContext, "proxy_on_grpc_close", rootContext, uint64(d.token), uint64(d.reply.grpc.code))
		return err
	}
	_, err := v.call(ctx, rootContext, "proxy_on_grpc_receive", rootContext, uint64(d.token), uint64(len(d.reply.body)))
	return err
}

// grpcStream opens a stream. One that nobody answers is closed; another waits for messages.
func (c *call) grpcStream() status {
	cluster, result := c.service()
	path, readable := c.method()
	switch {
	case result != ok:
		return result
	case !readable:
		return invalidMemoryAccess
	case len(c.vm.calls) >= maxCalls || len(c.vm.grpcStreams) >= maxCalls:
		return c.busy()
	}
	c.vm.token++
	s := &grpcStream{said: c.vm.found(cluster, path)}
	if c.vm.grpcStreams == nil {
		c.vm.grpcStreams = map[uint32]*grpcStream{}
	}
	c.vm.grpcStreams[c.vm.token] = s
	if r, delay := grpcReply(s.said); r.grpc.code == grpcUnavailable {
		c.vm.closeStream(c.vm.token, s, r, delay)
	}
	return c.put32(8, c.vm.token)
}

// closeStream has the other side close a stream.
func (v *vm) closeStream(token uint32, s *grpcStream, r reply, delay time.Duration) {
	if s.closes {
		return
	}
	s.closes, r.kind = true, grpcStreaming
	v.soon(token, delay, r, func(v *vm, ctx context.Context, d due) error {
		delete(v.grpcStreams, d.token)
		v.status = d.reply.grpc
		if len(d.reply.trailers) > 0 {
			if _, err := v.call(ctx, rootContext, "proxy_on_grpc_receive_trailing_metadata", rootContext, uint64(d.token), uint64(len(d.reply.trailers))); err != nil {
				return err
			}
		}
		_, err := v.call(ctx, rootContext, "proxy_on_grpc_close", rootContext, uint64(d.token), uint64(d.reply.grpc.code))
		return err
	})
}

// grpcSend takes a message of a stream, to which there is an answer each.
func (c *call) grpcSend() status {
	_, readable := c.bytes(1)
	token, s := c.u32(0), c.vm.grpcStreams[c.u32(0)]
	switch {
	case !readable:
		return invalidMemoryAccess
	case s == nil:
		return notFound
	case len(c.vm.calls) >= maxCalls:
		return c.busy()
	case s.said == nil || s.closes:
		return ok
	}
	r, delay := grpcReply(s.said)
	r.kind = grpcStreaming
	if !s.begun {
		s.begun = true
		c.vm.soon(token, delay, r, func(v *vm, ctx context.Context, d due) error {
			_, err := v.call(ctx, rootContext, "proxy_on_grpc_receive_initial_metadata", rootContext, uint64(d.token), uint64(len(d.reply.headers)))
			return err
		})
	}
	if r.grpc.code == 0 && s.said.Body != nil {
		c.vm.soon(token, delay, r, func(v *vm, ctx context.Context, d due) error {
			_, err := v.call(ctx, rootContext, "proxy_on_grpc_receive", rootContext, uint64(d.token), uint64(len(d.reply.body)))
			return err
		})
	}
	if r.grpc.code != 0 || c.u32(3) != 0 {
		c.vm.closeStream(token, s, r, delay)
	}
	return ok
}

// grpcClose closes the filter's side: the other one follows.
func (c *call) grpcClose() status {
	token, s := c.u32(0), c.vm.grpcStreams[c.u32(0)]
	if s == nil {
		return c.dropCall(token)
	}
	r, delay := grpcReply(s.said)
	c.vm.closeStream(token, s, r, delay)
	return ok
}

// grpcCancel ends a call or a stream of which nothing comes any more.
func (c *call) grpcCancel() status {
	token := c.u32(0)
	if c.vm.grpcStreams[token] == nil {
		return c.dropCall(token)
	}
	delete(c.vm.grpcStreams, token)
	_ = c.dropCall(token)
	return ok
}

// dropCall forgets what is to come of a gRPC call.
func (c *call) dropCall(token uint32) status {
	before := len(c.vm.calls)
	c.vm.calls = slices.DeleteFunc(c.vm.calls, func(d due) bool {
		drop := d.token == token && d.reply.kind != httpCall
		if drop {
			c.vm.forget(d)
		}
		return drop
	})
	if len(c.vm.calls) == before {
		return notFound
	}
	return ok
}

// getStatus is that of the gRPC call that ended last.
func (c *call) getStatus() status {
	if result := c.put32(0, c.vm.status.code); result != ok {
		return result
	}
	return c.give(1, []byte(c.vm.status.message))
}
