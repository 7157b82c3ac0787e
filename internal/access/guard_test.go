package access

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// raw asks a server in so many words, and returns the status.
func raw(t *testing.T, address, text string) int {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, text)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return 200
	}
	var e api.Error
	if resp.Header.Get("Content-Type") == api.ErrorType {
		if err := json.NewDecoder(resp.Body).Decode(&e); err != nil || e.Status != resp.StatusCode || e.Detail == "" || strings.Contains(e.Detail, "\n") {
			t.Errorf("%q: %v, %+v", text, err, e)
		}
	}
	return resp.StatusCode
}

// What a browser sends for a page of another site, or one whose name leads here, reaches
// nothing: on reads as on commands.
func TestGuard(t *testing.T) {
	asked := 0
	inner := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ })
	g := &Guard{Log: discard()}
	tcp, unix := httptest.NewServer(g.TCP(inner)), httptest.NewServer(g.Socket(inner))
	defer tcp.Close()
	defer unix.Close()
	at := tcp.Listener.Addr().String()
	for _, q := range []struct {
		head      string
		tcp, unix int
	}{
		{"Host: " + at, 200, 200},
		{"Host: xds", 421, 200},
		{"Host: evil.example", 421, 200},
		{"Host: " + at + "\r\nOrigin: http://" + at, 200, 200},
		{"Host: " + at + "\r\nOrigin: http://evil.example", 403, 403},
		{"Host: " + at + "\r\nOrigin: https://" + at, 403, 403},
		{"Host: " + at + "\r\nOrigin: null", 403, 403},
		{"Host: " + at + "\r\nOrigin: http://" + at + "\r\nOrigin: http://evil.example", 403, 403},
		{"Host: localhost\r\nOrigin: http://localhost:3000", 403, 403},
		{"Host: localhost\r\nSec-Fetch-Site: same-origin", 200, 200},
		{"Host: localhost\r\nSec-Fetch-Site: none", 200, 200},
		{"Host: localhost\r\nSec-Fetch-Site: same-site", 403, 403},
		{"Host: localhost\r\nSec-Fetch-Site: cross-site", 403, 403},
		{"Host: localhost\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site", 403, 403},
		{"Host: localhost\r\nHost: evil.example", 400, 400},
		{"X: y", 400, 400},
	} {
		for _, method := range []string{"GET " + api.PathStatus, "POST " + api.PathCommands, "GET " + api.PathMetrics, "OPTIONS " + api.PathCommands} {
			text := method + " HTTP/1.1\r\n" + q.head + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
			before := asked
			if got := raw(t, at, text); got != q.tcp {
				t.Errorf("by TCP: %q: %d, want %d", text, got, q.tcp)
			}
			if got := raw(t, unix.Listener.Addr().String(), text); got != q.unix {
				t.Errorf("by a socket: %q: %d, want %d", text, got, q.unix)
			}
			want := 0
			for _, status := range []int{q.tcp, q.unix} {
				if status == 200 {
					want++
				}
			}
			if asked-before != want {
				t.Errorf("%q reached it %d times", text, asked-before)
			}
		}
	}
	// An absolute address is what counts, whatever the header says.
	if got := raw(t, at, "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n"); got != 421 {
		t.Errorf("absolute: %d", got)
	}
	if got := g.Refused(); got["host"] == 0 || got["cross_site"] == 0 || len(got) != 2 {
		t.Errorf("counted: %v", got)
	}
}

// Only a page of the very same scheme, host and port is one with the server.
func TestOriginsAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	same := 0
	for range 20_000 {
		host, port := pick("localhost", "127.0.0.1", "[::1]", "evil.example"), pick("", ":80", ":443", ":17001")
		from := pick("localhost", "LOCALHOST", "127.0.0.1", "[::1]", "evil.example", "localhost.evil.example")
		scheme, fromScheme, fromPort := pick("http", "https"), pick("http", "https", "file", ""), pick("", ":80", ":443", ":17001")
		q := httptest.NewRequest(http.MethodGet, "/", nil)
		q.Host = host + port
		if scheme == "https" {
			q.TLS = &tls.ConnectionState{}
		}
		tail := pick("", "", "", "", "/", "/x", "?", "#")
		q.Header.Set("Origin", fromScheme+"://"+from+fromPort+tail)
		full := func(scheme, port string) string {
			if port == "" {
				return map[string]string{"http": ":80", "https": ":443"}[scheme]
			}
			return port
		}
		want := scheme == fromScheme && host == strings.ToLower(from) && full(scheme, port) == full(fromScheme, fromPort) && tail == ""
		if want {
			same++
		}
		if got := !crossSite(q); got != want {
			t.Fatalf("%s://%s from %q: same %t", scheme, q.Host, q.Header.Get("Origin"), got)
		}
	}
	if same < 100 {
		t.Errorf("only %d were of one origin", same)
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add("http://localhost:17001", "same-origin")
	f.Add("http://localhost:17001@evil.example", "")
	f.Add("null", "none")
	f.Fuzz(func(t *testing.T, from, site string) {
		q := httptest.NewRequest(http.MethodGet, "/", nil)
		q.Host = "localhost:17001"
		q.Header.Set("Origin", from)
		q.Header.Set("Sec-Fetch-Site", site)
		if !crossSite(q) && (strings.ToLower(from) != "http://localhost:17001" || site != "same-origin" && site != "none") {
			t.Errorf("%q, %q is let through", from, site)
		}
	})
}

// With TLS the names of the server's certificate are its own: nobody else has one for them.
func TestNamesOfTheCertificate(t *testing.T) {
	g := &Guard{Log: discard(), Leaf: func() *x509.Certificate {
		return &x509.Certificate{DNSNames: []string{"xds.internal"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}}
	}}
	h := g.TCP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for host, want := range map[string]int{"xds.internal:17001": 200, "10.0.0.1": 200, "evil.example": 421, "10.0.0.2:1": 421, "localhost": 200} {
		for _, secure := range []bool{true, false} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host, r.TLS = host, nil
			if secure {
				r.TLS = &tls.ConnectionState{}
			} else if host != "localhost" {
				want = 421
			}
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != want {
				t.Errorf("%s, TLS %t: %d", host, secure, w.Code)
			}
		}
	}
}
