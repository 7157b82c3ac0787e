package quota

import (
	"reflect"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// How often a client may open a stream: as many at once as ten thousand proxies, each with a
// stream of each kind, that come, are lost and come again; then so many a second.
const (
	opensHeld = 60000
	opensRate = 2000
)

// A stream is open, and counts.
type stream struct {
	grpc.ServerStream

	client *Client
	kind   Kind
	before *stream // in the client's list: opened before it, nil for none
	after  *stream // and after it
	gone   bool    // it is off the list
	heard  bool    // it has said something
	conn   *Conn
	id     uint32 // in HTTP/2, 0 where it is not known

	silence *time.Timer // ends it; stopped once it has said something
}

// silence is how long a stream may say nothing when it is opened.
const silence = 30 * time.Second

// Stream is a grpc.StreamServerInterceptor: it counts streams, and refuses those that are too many.
func (all *Clients) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	conn := connOf(ss.Context())
	if conn == nil {
		return handler(srv, ss) // it has not come by Creds: nothing is known of it
	}
	s := &stream{ServerStream: ss, client: conn.client, kind: kindOf(info.FullMethod), conn: conn, id: idOf(ss)}
	if err := all.open(s); err != nil {
		return err
	}
	defer all.close(s)
	s.silence = time.AfterFunc(silence, func() {
		s.cut(s.client.refuse(Silent, "a stream has said nothing for %v", silence))
	})
	defer s.silence.Stop()
	return handler(srv, s)
}

func kindOf(method string) Kind {
	switch {
	case strings.Contains(method, "AggregatedDiscoveryService"):
		return ADS
	case strings.Contains(method, "HealthDiscoveryService"):
		return Health
	case strings.Contains(method, "MetricsService"):
		return Metrics
	}
	return Other
}

// open lets a stream in, or not.
func (all *Clients) open(s *stream) error {
	all.mu.Lock()
	defer all.mu.Unlock()
	c, k, l := s.client, s.kind, all.limits
	if c.opens.take(1, opensHeld, opensRate, all.now()) > 0 {
		c.opens.taken-- // what is refused costs nothing
		return c.refuse(Opens, "%s opens more than %d streams a second", c.Name, opensRate)
	}
	if l.ClientStreams > 0 && c.streams[k] >= l.ClientStreams {
		return c.refuse(ClientStreams, "%s has its %d streams", c.Name, l.ClientStreams)
	}
	if l.Streams > 0 && all.streams[k] >= l.Streams && !all.makeRoom(c, k) {
		return c.refuse(Streams, "the server has its %d streams", l.Streams)
	}
	s.before = c.newest[k]
	if s.before != nil {
		s.before.after = s
	}
	c.newest[k] = s
	c.streams[k]++
	all.streams[k]++
	if most := all.most[k]; most == nil || c.streams[k] > most.streams[k] {
		all.most[k] = c
	}
	return nil
}

// makeRoom ends the newest stream of the client that has most, if it would still have more than c, which
// is to have one more. It reports whether it did.
func (all *Clients) makeRoom(c *Client, k Kind) bool {
	most := all.most[k]
	if most == nil || most.streams[k] <= c.streams[k]+1 {
		if most = all.whoHasMost(k); most == nil || most.streams[k] <= c.streams[k]+1 {
			return false
		}
	}
	newest := most.newest[k]
	all.off(newest)
	go newest.cut(most.refuse(Fair, "the server has its %d streams, and %s has most of them: one is ended for a client that has less", all.limits.Streams, most.Name))
	return true
}

// whoHasMost looks for who has most streams: who had most may have less now. It does not look too
// often, which a client that tries again and again could make it do.
func (all *Clients) whoHasMost(k Kind) *Client {
	if now := all.now(); now.Sub(all.looked) >= lookEvery {
		all.looked, all.most[k] = now, nil
		for _, c := range all.clients {
			if most := all.most[k]; most == nil || c.streams[k] > most.streams[k] {
				all.most[k] = c
			}
		}
	}
	return all.most[k]
}

// lookEvery is how often whoHasMost looks, at most.
const lookEvery = 50 * time.Millisecond

func (all *Clients) close(s *stream) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.off(s)
}

// off takes a stream off the list, once.
func (all *Clients) off(s *stream) {
	if s.gone {
		return
	}
	s.gone = true
	c := s.client
	if s.before != nil {
		s.before.after = s.after
	}
	if s.after != nil {
		s.after.before = s.before
	} else {
		c.newest[s.kind] = s.before
	}
	s.before, s.after = nil, nil
	c.streams[s.kind]--
	all.streams[s.kind]--
	c.last = all.now()
}

// cut ends a stream as gRPC does when one direction of it fails: its handler is told at once.
func (s *stream) cut(why error) {
	if t, ok := grpc.ServerTransportStreamFromContext(s.Context()).(interface{ WriteStatus(*status.Status) error }); ok {
		_ = t.WriteStatus(status.Convert(why)) // fails where the client is gone
	}
}

// RecvMsg implements grpc.ServerStream.
func (s *stream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if !s.heard {
		s.heard = true
		s.silence.Stop()
	}
	if err == nil || status.Code(err) == codes.ResourceExhausted {
		s.conn.took(s.id)
	}
	return err
}

// idOf is the number that HTTP/2 has for a stream. gRPC does not say it; 0 where it can't be known.
func idOf(ss grpc.ServerStream) uint32 {
	t := reflect.ValueOf(grpc.ServerTransportStreamFromContext(ss.Context()))
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return 0
	}
	id := t.Elem().FieldByName("id")
	if !id.IsValid() || id.Kind() != reflect.Uint32 {
		return 0
	}
	return uint32(id.Uint())
}

// Of is the client of a stream; nil where nothing is known of it, which may have all it wants.
func Of(ss grpc.ServerStream) *Client {
	if conn := connOf(ss.Context()); conn != nil {
		return conn.client
	}
	return nil
}
