package xds

// A script is what a fuzzer has its clients do, byte by byte. One that has ended is zeros.
type script []byte

// next is the next byte.
func (s *script) next() byte {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return b
}

// play does the script: step, at most 200 times, which takes from it.
func (s *script) play(step func()) {
	for range 200 {
		if len(*s) == 0 {
			return
		}
		step()
	}
}

// piece is a message as it is on the wire: two bytes say how long it is, and it ends with the script.
func (s *script) piece() []byte {
	n := int(s.next())<<8 | int(s.next())
	n = min(n, len(*s))
	b := (*s)[:n]
	*s = (*s)[n:]
	return b
}
