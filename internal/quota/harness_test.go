package quota

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// nowhere is a stream that nobody has, and somewhere one with a context.
type nowhere struct{ grpc.ServerStream }

func (nowhere) Context() context.Context { return context.Background() }

type somewhere struct {
	grpc.ServerStream

	ctx context.Context //nolint:containedctx // as gRPC has it
}

func (s somewhere) Context() context.Context { return s.ctx }

// ending is what gRPC has below a stream: it is told how that ends.
type ending chan *status.Status

func (e ending) WriteStatus(s *status.Status) error { e <- s; return nil }

// The rest of it nobody asks for here.
func (ending) Method() string               { return "/x" }
func (ending) SetHeader(metadata.MD) error  { return nil }
func (ending) SendHeader(metadata.MD) error { return nil }
func (ending) SetTrailer(metadata.MD) error { return nil }
