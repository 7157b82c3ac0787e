package snapshot

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A Spelling is a way to name files: "/.//./a" is "/a" as well. The same resource in another
// spelling has other bytes, and means the same. 0 is as people wrote it.
type Spelling uint16

// prefix is what it puts before a path, after its first slash.
func (s Spelling) prefix() string {
	var b strings.Builder
	for ; s > 0; s >>= 1 {
		if s&1 == 1 {
			b.WriteByte('.')
		}
		b.WriteByte('/')
	}
	return b.String()
}

// of is a path in this spelling.
func (s Spelling) of(path string) string {
	if rest, absolute := strings.CutPrefix(path, "/"); absolute {
		return "/" + s.prefix() + rest
	}
	return "./" + s.prefix() + path
}

// Plain is a text with its paths as people wrote them.
func (s Spelling) Plain(text string) string {
	if s == 0 {
		return text
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "./"+s.prefix(), ""), "/"+s.prefix(), "/")
}

// NamesHost reports whether it names something of a proxy's host, a file say.
func (r *Resource) NamesHost() bool { return r.namesHost }

// Spelled is the resource in another spelling, under its own name and version. It fails where
// that names no file.
func (r *Resource) Spelled(s Spelling) (*discoveryv3.Resource, error) {
	m, err := r.Wire.GetResource().UnmarshalNew()
	if err != nil {
		return nil, fmt.Errorf("reading %s %q: %w", r.typeURL(), r.Name, err)
	}
	if !fleet.Respell(m, s.of) {
		return nil, fmt.Errorf("%s %q names no file", r.typeURL(), r.Name)
	}
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("marshalling %s %q: %w", r.typeURL(), r.Name, err)
	}
	return resourceOf(r.typeURL(), r.Name, r.Version, value).Wire, nil
}
