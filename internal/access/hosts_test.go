package access

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	names := Names{"xds.internal", "10.1.2.3", "fd00::1"}
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST:17001": true, "127.0.0.1": true, "127.9.8.7:1": true, "[::1]": true, "[::1]:17001": true, "[0:0:0:0:0:0:0:1]": true,
		"xds.internal": true, "XDS.internal:443": true, "10.1.2.3:1": true, "[fd00::1]:1": true, "[fd00:0::1]": false,
		"": false, ":17001": false, "[": false, "[]": false, "[::1": false, "::1": false, "::1:1": false, "[localhost]": false, "[127.0.0.1]": false, "[127.0.0.1]:1": false,
		"[::1%lo]": false, "localhost.": false, "localhost.evil.example": false, "a.localhost": false, "127.0.0.1.evil.example": false, "evil.example": false,
		"evil.example:17001": false, "localhost:17001@evil.example": false, "localhost:evil": false, "localhost:1:1": false, "localhost:-1": false,
		"128.0.0.1": false, "0.0.0.0": false, "0x7f.1": false, "127.1": false, "2130706433": false, "10.1.2.4": false, "[::]": false, "[fd00::2]": false,
		"xds.internal.": false, "a.xds.internal": false,
	} {
		if got := names.answersTo(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}

// hostOf makes a Host, and says whether it is loopback's own.
func hostOf(r *rand.Rand) (host string, own bool) {
	label := func() string {
		return []string{"localhost", "127", "evil", "a-b", "0", "1", "xn--e1a", "internal", "LocalHost", "com"}[r.IntN(10)]
	}
	switch r.IntN(5) {
	case 0:
		host, own = "localhost", true
	case 1:
		a := netip.AddrFrom4([4]byte{byte(120 + r.IntN(10)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
		host, own = a.String(), a.As4()[0] == 127
	case 2:
		var raw [16]byte
		raw[r.IntN(16)], raw[15] = byte(r.Uint32()), byte(r.IntN(2))
		a := netip.AddrFrom16(raw)
		host, own = "["+a.String()+"]", a == netip.IPv6Loopback()
	default:
		labels := []string{label()}
		for range 1 + r.IntN(3) {
			labels = append(labels, label())
		}
		host = strings.Join(labels, ".")
		if a, err := netip.ParseAddr(host); err == nil {
			own = a.IsLoopback()
		}
	}
	if r.IntN(2) == 0 {
		host = fmt.Sprint(host, ":", r.IntN(65536))
	}
	if r.IntN(2) == 0 {
		host = strings.ToUpper(host)
	}
	return host, own
}

// Names that lead anywhere their owner likes are refused, and addresses that only this machine
// has are not.
func TestHostsAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[bool]int{}
	for range 20_000 {
		host, own := hostOf(r)
		seen[own]++
		if got := Names(nil).answersTo(host); got != own {
			t.Fatalf("%q: %t", host, got)
		}
	}
	if seen[true] < 1000 || seen[false] < 1000 {
		t.Errorf("only %v were tried", seen)
	}
}

// Whatever is let through is a name that nobody's DNS says, or one that was given.
func FuzzHosts(f *testing.F) {
	for _, seed := range []string{"localhost:17001", "[::1]:1", "127.0.0.1.evil.example", "a@localhost", "xds.internal:0", "[::ffff:127.0.0.1]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if !(Names{"xds.internal"}).answersTo(host) {
			return
		}
		name, port, err := net.SplitHostPort(host)
		if err != nil {
			name, port = strings.Trim(host, "[]"), ""
		}
		a, err := netip.ParseAddr(strings.ToLower(name))
		if low := strings.ToLower(name); low != "localhost" && low != "xds.internal" && (err != nil || !a.IsLoopback() || a.Zone() != "") {
			t.Errorf("%q is let through", host)
		}
		if strings.Trim(port, "0123456789") != "" {
			t.Errorf("%q has port %q", host, port)
		}
	})
}

func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a": "a", " A.b , c ": "a.b,c", "10.0.0.1,fd00::1": "10.0.0.1,fd00::1",
		",": "error", "a,": "error", "a:1": "error", "*": "error", "*.b": "error", "http://a": "error", "a b": "error", "[::1]": "error",
	} {
		var n Names
		if err := n.Set(text); (err != nil) != (want == "error") || err == nil && n.String() != want {
			t.Errorf("%q: %q, %v", text, n.String(), err)
		}
	}
}
