package xdstest

import (
	"fmt"
	"hash/crc32"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that this one is built on
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// codec reads of a discovery response what a simulated proxy looks at, and skips
// the resources themselves where they lie: ten thousand proxies that each
// decoded a module would measure protobuf. Requests are marshalled as ever.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Unmarshal implements encoding.CodecV2 for *received.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	r, ok := v.(*received)
	if !ok {
		return fmt.Errorf("a simulated proxy does not read a %T", v)
	}
	s := scanner{Reader: data.Reader()}
	defer s.Close() //nolint:errcheck // it only frees buffers
	*r = received{sotw: r.sotw, Response: Response{Resources: map[string]string{}, Bytes: data.Len()}}
	if err := s.message(data.Len(), func(n protowire.Number, size int) error { return s.response(r, n, size) }); err != nil {
		return fmt.Errorf("reading a discovery response: %w", err)
	}
	return nil
}

// Field numbers of envoy/service/discovery/v3/discovery.proto, of Any and of
// every resource type, in which a name comes first.
const (
	responseVersion, responseResources, responseTypeURL, responseNonce, responseRemoved = 1, 2, 4, 5, 6
	resourceVersion, resourceName                                                       = 1, 3
	anyValue                                                                            = 2
	packedName                                                                          = 1
)

// response reads a field of either variant's response; of the fields that matter
// the numbers are the same.
func (s *scanner) response(r *received, n protowire.Number, size int) (err error) {
	switch {
	case n == responseVersion:
		r.Version, err = s.text(size)
	case n == responseTypeURL:
		r.TypeURL, err = s.text(size)
	case n == responseNonce:
		r.nonce, err = s.text(size)
	case n == responseRemoved && !r.sotw:
		var name string
		name, err = s.text(size)
		r.Removed = append(r.Removed, name)
	case n == responseResources:
		var name, version string
		if r.sotw {
			name, version, err = s.packed(size)
		} else {
			name, version, err = s.resource(size)
		}
		r.Resources[name] = version
	default:
		err = s.skip(size)
	}
	return err
}

// resource reads a Resource of a delta response.
func (s *scanner) resource(size int) (name, version string, err error) {
	err = s.message(size, func(n protowire.Number, size int) (err error) {
		switch n {
		case resourceName:
			name, err = s.text(size)
		case resourceVersion:
			version, err = s.text(size)
		default:
			err = s.skip(size)
		}
		return err
	})
	return name, version, err
}

// packed reads an Any of a state-of-the-world response, which has no version of
// the resource: its checksum takes that place.
func (s *scanner) packed(size int) (name, version string, err error) {
	err = s.message(size, func(n protowire.Number, size int) error {
		if n != anyValue {
			return s.skip(size)
		}
		pieces, err := s.Peek(size, nil)
		if err != nil {
			return err
		}
		sum := uint32(0)
		for _, piece := range pieces {
			sum = crc32.Update(sum, crc32.IEEETable, piece)
		}
		version = fmt.Sprintf("%08x", sum)
		return s.message(size, func(n protowire.Number, size int) (err error) {
			if n == packedName && name == "" {
				name, err = s.text(size)
				return err
			}
			return s.skip(size)
		})
	})
	return name, version, err
}

// scanner reads protobuf out of buffers that do not lie side by side.
type scanner struct{ *mem.Reader }

// message reads a message of size bytes: field is called with the number of each
// of its fields that has a length, and takes that many bytes.
func (s *scanner) message(size int, field func(protowire.Number, int) error) error {
	for end := s.Remaining() - size; s.Remaining() > end; {
		tag, err := s.varint()
		if err != nil {
			return err
		}
		number, kind := protowire.DecodeTag(tag)
		switch kind {
		case protowire.BytesType:
			var n uint64
			if n, err = s.varint(); err == nil {
				err = field(number, int(n))
			}
		case protowire.VarintType:
			_, err = s.varint()
		case protowire.Fixed32Type:
			err = s.skip(4)
		case protowire.Fixed64Type:
			err = s.skip(8)
		default:
			err = fmt.Errorf("field %d has the wire type %d", number, kind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) varint() (uint64, error) {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		b, err := s.ReadByte()
		if err != nil {
			return 0, err
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, protowire.ParseError(-1)
}

func (s *scanner) skip(n int) error {
	_, err := s.Discard(n)
	return err
}

func (s *scanner) text(n int) (string, error) {
	if n > s.Remaining() {
		return "", fmt.Errorf("a text of %d bytes in a message that has %d", n, s.Remaining())
	}
	b := make([]byte, n)
	for read := 0; read < n; {
		m, err := s.Read(b[read:])
		if err != nil {
			return "", err
		}
		read += m
	}
	return string(b), nil
}
