package main

import (
	"log/slog"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// floor is the least that a gRPC server can do: it has each response in the form
// that goes over the wire, and writes it. It answers the first request for a type
// and knows nothing of versions, nonces, verdicts or order.
type floor struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	mu        sync.Mutex
	streams   map[int]chan<- wire // by number of the proxy
	even, odd *snapshot.Snapshot
	messages  map[*snapshot.Snapshot]map[string]wire // by type
}

// wire is a marshalled response.
type wire []byte

func newFloor() *floor {
	return &floor{streams: map[int]chan<- wire{}, messages: map[*snapshot.Snapshot]map[string]wire{}}
}

func (f *floor) grpc(secure ...grpc.ServerOption) *grpc.Server {
	// With the settings of our server, but for the codec.
	options := xds.NewServer(slog.New(slog.DiscardHandler), xds.Limits{}).Options()
	options = append(options, secure...)
	g := grpc.NewServer(append(options, grpc.ForceServerCodecV2(wireCodec{encoding.GetCodecV2("proto")}))...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, f)
	return g
}

type wireCodec struct{ encoding.CodecV2 }

func (c wireCodec) Marshal(v any) (mem.BufferSlice, error) {
	if w, ok := v.(wire); ok {
		return mem.BufferSlice{mem.SliceBuffer(w)}, nil
	}
	return c.CodecV2.Marshal(v)
}

func (f *floor) prepare(s *snapshot.Snapshot) error {
	messages := map[string]wire{}
	for _, k := range fleet.Kinds {
		typeURL := k.Type
		m := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL, SystemVersionInfo: s.ID, Nonce: "1"}
		for _, r := range s.All(typeURL) {
			m.Resources = append(m.Resources, r.Wire)
		}
		b, err := proto.Marshal(m)
		if err != nil {
			return err
		}
		messages[typeURL] = b
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.messages[s] = messages
	return nil
}

func (f *floor) push(_ int, even, odd *snapshot.Snapshot) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := [2]*snapshot.Snapshot{f.even, f.odd}
	f.even, f.odd = even, odd
	for old := range f.messages {
		if old != even && old != odd {
			delete(f.messages, old)
		}
	}
	for i, stream := range f.streams {
		target := f.target(i)
		for _, k := range fleet.Kinds {
			typeURL := k.Type
			if changed(before[i%2], target, typeURL) {
				stream <- f.messages[target][typeURL]
			}
		}
	}
	return nil
}

// changed compares a type's only resource.
func changed(a, b *snapshot.Snapshot, typeURL string) bool {
	one, two := a.All(typeURL), b.All(typeURL)
	return len(two) > 0 && (len(one) == 0 || one[0].Version != two[0].Version)
}

func (f *floor) target(i int) *snapshot.Snapshot {
	if i%2 == 1 {
		return f.odd
	}
	return f.even
}

func (f *floor) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	writes := make(chan wire, 8)
	go func() {
		for {
			select {
			case w := <-writes:
				if stream.SendMsg(w) != nil {
					return // receiving says why
				}
			case <-stream.Context().Done():
				return
			}
		}
	}()
	i := -1
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		f.mu.Lock()
		if i < 0 {
			i = number(req.GetNode().GetId())
			f.streams[i] = writes
		}
		if req.GetResponseNonce() == "" {
			writes <- f.messages[f.target(i)][req.GetTypeUrl()]
		}
		f.mu.Unlock()
	}
}
