package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	filter "github.com/waxwing-xds/waxwing/wasm/primeauth"
)

// origins are what Envoy and xds begin their lines with: a time of day may hold a
// token among its digits, and the number of a thread may be one.
var origins = regexp.MustCompile(`(?m)^\[[^\]]*\]\[\d+\]|^\{"time":"[^"]*"`)

// Both filters, inside a real Envoy, answer as vectors.yaml says, to the byte;
// they count the same, log no token, obey each option, and refuse what is no
// configuration.
func TestVectors(t *testing.T) {
	vectors, _, err := filter.Vectors()
	if err != nil {
		t.Fatal(err)
	}
	statistics := map[string]string{}
	for _, language := range []string{"go", "rust"} {
		t.Run(language, func(t *testing.T) {
			// Without preflight, which would keep what is refused from the proxy.
			w := started(t, built(t, language), func(w *world) { w.NoPreflight = true; w.unraced() })
			p := w.proxies(1)[0]
			for _, v := range vectors {
				if got, err := p.askRaw("/", v.Headers); err != nil || filterAnswer(got) != v.Wire || len(got.Header["X-Filter"]) > 0 {
					t.Errorf("%s: %.80q: %+v, %v; want %+v", v.What, v.Headers, got, err, v.Wire)
				}
			}
			w.eventually("all are counted", func() error {
				if n := p.stat("wasmcustom.primeauth"); n != len(vectors) {
					return fmt.Errorf("%d of %d are", n, len(vectors))
				}
				return nil
			})
			statistics[language] = p.statistics()
			p.obeysOptions()
			p.refusesOptions()
			for _, log := range []string{p.Tail(1 << 20), w.log()} {
				log = origins.ReplaceAllString(log, "")
				for _, secret := range []string{"32323", "18446744073709551557", "secret-value", strings.Repeat("7", 100)} {
					if strings.Contains(log, secret) {
						t.Errorf("a log holds %q", secret)
					}
				}
			}
		})
	}
	if statistics["go"] != statistics["rust"] {
		t.Errorf("the Go filter counted\n%s\nand the Rust filter\n%s", statistics["go"], statistics["rust"])
	}
	for _, reason := range []string{"allowed", "denied.missing", "denied.repeated", "denied.not_decimal", "denied.too_large", "denied.not_prime"} {
		if !strings.Contains(statistics["go"], "wasmcustom.primeauth."+reason+": ") {
			t.Errorf("nothing counts what is %s:\n%s", reason, statistics["go"])
		}
	}
}

// built is what `make filter` builds.
func built(t *testing.T, language string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), language+".wasm")
	if err := command(nil, "make", "-C", "..", "filter", "FILTER="+language, "WASM="+out); err != nil {
		t.Fatal(err)
	}
	return read(t, out)
}

// obeysOptions tries each option of the filter, by one change of the configuration.
func (p *proxy) obeysOptions() {
	t, w := p.w.t, p.w
	t.Helper()
	write(t, w.fleet, w.fleetYAML(fleetOptions{Config: `{header: Token, denied_status: 499, denied_body: "no\r\n\u00e9", remove_header: true, allow_paths: [/healthz], response_header: X-Filter}`}))
	p.runs("X-Filter", "primeauth/dev")
	for _, c := range []struct {
		path, token string
		want        filter.Answer
	}{
		{"/", "7", filter.Answer{Status: 200, Body: welcome}},
		{"/", "8", filter.Answer{Status: 499, Body: "no\r\né"}},
		{"/healthz", "8", filter.Answer{Status: 200, Body: welcome}},
		{"/healthz?a=/b", "8", filter.Answer{Status: 200, Body: welcome}},
		{"/healthz/", "8", filter.Answer{Status: 499, Body: "no\r\né"}},
		{"/?/healthz", "8", filter.Answer{Status: 499, Body: "no\r\né"}},
	} {
		got, err := p.askRaw(c.path, [][2]string{{"token", c.token}})
		if err != nil || filterAnswer(got) != c.want || got.Header.Get("X-Filter") != "primeauth/dev" {
			t.Errorf("%+v: %+v, %v", c, got, err)
		}
		if seen := got.Header.Get("X-Token-Seen"); c.want.Status == 200 && seen != "false" {
			t.Errorf("%+v: the service has seen the token: %q", c, seen)
		}
	}
}

// refusesOptions tries a configuration that is none: the reason is in the proxy's log,
// and the proxy goes on as it was.
func (p *proxy) refusesOptions() {
	w := p.w
	w.t.Helper()
	write(w.t, w.fleet, w.fleetYAML(fleetOptions{Config: `{denied_body: secret-value, denied_status: 200}`}))
	w.eventually("the log says why", func() error {
		const reason = "primeauth: plugin configuration: denied_status: not a number from 400 to 599"
		if !strings.Contains(p.Tail(1000), reason) {
			return errors.New("it does not")
		}
		return nil
	})
	p.runs("X-Filter", "primeauth/dev")
}

// statistics are the filter's own.
func (p *proxy) statistics() string {
	p.w.t.Helper()
	text, err := p.w.get("http://" + p.admin + "/stats?filter=wasmcustom.primeauth")
	if err != nil {
		p.w.t.Fatal(err)
	}
	return text
}

func filterAnswer(a answer) filter.Answer { return filter.Answer{Status: a.Status, Body: a.Body} }

// askRaw sends headers as they are: net/http would tidy them up.
func (p *proxy) askRaw(path string, headers [][2]string) (answer, error) {
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	var text strings.Builder
	fmt.Fprintf(&text, "GET %s HTTP/1.1\r\nHost: raw\r\nConnection: close\r\n", path)
	for _, h := range headers {
		fmt.Fprintf(&text, "%s: %s\r\n", h[0], h[1])
	}
	if _, err := io.WriteString(conn, text.String()+"\r\n"); err != nil {
		return answer{}, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{Status: resp.StatusCode, Body: string(body), Header: resp.Header}, err
}
