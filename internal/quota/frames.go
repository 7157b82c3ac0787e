package quota

import "encoding/binary"

// What is read of HTTP/2: where frames begin, and of which stream they are.
// https://www.rfc-editor.org/rfc/rfc9113#name-frame-format
const (
	prefaceSize = 24 // "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", before the client's first frame
	headSize    = 9

	frameData    = 0
	frameHeaders = 1
	frameReset   = 3

	flagEndStream = 1
	flagPadded    = 8
)

// frames finds the frames in what goes through a connection, in pieces as they come.
type frames struct {
	skip   int // bytes before the next frame
	head   [headSize]byte
	have   int // of head
	left   int // of the frame
	kind   byte
	flags  byte
	stream uint32

	padded bool // there was one with padding, which no client of gRPC sends

	opens func(stream uint32)           // its headers have begun
	data  func(stream uint32, b []byte) // of a data frame
	ends  func(stream uint32)           // nothing more comes of it this way
}

// take takes the next piece.
func (f *frames) take(b []byte) {
	for len(b) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(b))
			f.skip -= n
			b = b[n:]
			continue
		}
		if f.have < headSize {
			n := copy(f.head[f.have:], b)
			f.have += n
			b = b[n:]
			if f.have == headSize {
				f.begin()
			}
			continue
		}
		n := min(f.left, len(b))
		if f.kind == frameData {
			f.data(f.stream, b[:n])
		}
		f.left -= n
		b = b[n:]
		f.end()
	}
}

// begin is called when the head of a frame is there.
func (f *frames) begin() {
	h := f.head
	f.left = int(h[0])<<16 | int(h[1])<<8 | int(h[2])
	f.kind, f.flags = h[3], h[4]
	f.stream = binary.BigEndian.Uint32(h[5:]) & (1<<31 - 1)
	f.padded = f.padded || f.kind == frameData && f.flags&flagPadded != 0
	if f.kind == frameHeaders {
		f.opens(f.stream)
	}
	f.end()
}

// end is called when a piece of a frame was taken, which may be all of it.
func (f *frames) end() {
	if f.left == 0 {
		f.have = 0
		if f.kind == frameReset || f.kind <= frameHeaders && f.flags&flagEndStream != 0 {
			f.ends(f.stream)
		}
	}
}
