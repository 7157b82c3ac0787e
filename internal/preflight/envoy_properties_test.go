package preflight

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/waxwing-xds/waxwing/internal/envoy"
	"github.com/waxwing-xds/waxwing/internal/rig"
)

var propertyEnvoy = template.Must(template.New("").Parse(`
node: {id: waxwing-preflight, cluster: waxwing-preflight}
` + anEnvoy + `
    - name: service
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {http_protocol_options: {enable_trailers: true}}
      load_assignment:
        cluster_name: service
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: {{.Port}}}}}}]}]
  listeners:
{{- range .Listeners}}{{.}}{{end}}
`))

// A scenario is a request, and what becomes of it.
type scenario struct {
	name, path, cluster string
	here                func(*exchange) // what it is in the sandbox, besides a GET that is answered
	gone                bool            // the client leaves, unanswered
}

var scenarios = []scenario{
	{name: "get", path: "/?q=1", cluster: "service"},
	{name: "post", path: "/", cluster: "service", here: func(x *exchange) {
		x.request.headers.set(":method", "POST")
		x.request.headers.add("trailer", "X-Hostile")
		x.request.body, x.request.trailers = pieces("a body of some bytes", 1), headers{{"x-hostile", "a"}}
		x.response = message{headers: headers{{":status", "200"}, {"content-type", "text/plain"}, {"date", "Thu, 26 Nov 2026 15:59:10 GMT"},
			{"trailer", "x-trailer"}, {"transfer-encoding", "chunked"}}, body: x.response.body[:1], trailers: headers{{"x-trailer", "t"}}}
	}},
	{name: "local", path: "/l", cluster: "service"},
	{name: "reset", path: "/r", cluster: "service"},
	{name: "call", path: "/c", cluster: "service"},
	{name: "dead", path: "/", cluster: "dead", here: func(x *exchange) {
		x.response = whole(headers{{":status", "503"}, {"content-length", "98"}, {"content-type", "text/plain"}}, make([]byte, 98))
		x.response.from = unreachable
	}},
	{name: "gone", path: "/slow", cluster: "service", gone: true, here: func(x *exchange) { x.stops = 2 }},
}

// What a filter sees of every property at every callback is what Envoy shows it.
func TestEnvoyProperties(t *testing.T) {
	path, err := envoy.Find(t.Context(), "../../.tools", func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	properties := askedProperties()
	there := inEnvoy(t, path, properties)
	for _, s := range scenarios {
		here := inSandbox(t, s, properties)
		for _, letter := range "abcdefgHhijJklmnop" {
			for _, p := range properties {
				m := moment{string(letter), p}
				if a, b := there[s.name][m], here[m]; !m.alike(a, b) {
					t.Errorf("%s: %s at %s: in Envoy %s, here %s", s.name, p, callbackNames[m.callback], a, b)
				}
			}
		}
	}
}

// slowService answers, but for one path, of which it tells.
type slowService chan struct{}

func (arrived slowService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/slow" {
		arrived <- struct{}{}
		<-r.Context().Done()
		return
	}
	w.Header().Set("content-type", "text/plain")
	if r.Method == http.MethodPost {
		w.Header().Set("trailer", "x-trailer")
		defer w.Header().Set("x-trailer", "t")
		w.(http.Flusher).Flush()
	}
	fmt.Fprint(w, "waxwing preflight\n")
}

// inEnvoy asks a real Envoy.
func inEnvoy(t *testing.T, path string, properties []string) map[string]map[moment]*answerOf {
	t.Helper()
	arrived := make(slowService)
	service, err := rig.StartService(arrived)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.Stop)
	dir := t.TempDir()
	var texts []string
	for _, s := range scenarios {
		texts = append(texts, rig.Listener(s.name, "127.0.0.1:0", `
                http_protocol_options: {enable_trailers: true}
                route_config: {virtual_hosts: [{name: waxwing-preflight, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: `+s.cluster+`}}]}]}`, `
                  - name: tested
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config: `+listenerOf(t, dir, s.name, probe(t, s.name, properties)).Config))
	}
	var config bytes.Buffer
	if err := propertyEnvoy.Execute(&config, map[string]any{"Port": service.Address[strings.LastIndexByte(service.Address, ':')+1:], "Listeners": texts}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(file, config.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ports := runFile(t, path, dir, file)
	for _, s := range scenarios {
		askProbe(t, s, ports[s.name], arrived)
	}
	return awaitProbes(t, filepath.Join(dir, "tested.log"), properties)
}

func askProbe(t *testing.T, s scenario, address string, arrived <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	text := "GET " + s.path + " HTTP/1.1\r\nhost: waxwing.check\r\nuser-agent: waxwing-check\r\ntwice: 1\r\ntwice: 2\r\n"
	if s.name == "post" {
		text = strings.Replace(text, "GET", "POST", 1) + "transfer-encoding: chunked\r\ntrailer: X-Hostile\r\n\r\n14\r\na body of some bytes\r\n0\r\nX-Hostile: a\r\n"
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text+"\r\n"); err != nil {
		t.Fatal(err)
	}
	if s.gone {
		select {
		case <-arrived:
		case <-ctx.Done():
			t.Fatal("the service does not see the request")
		}
		return
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if s.name == "reset" {
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
}

var wasmLog = regexp.MustCompile(`wasm log(?: \w+)* (\w+): (.*)$`)

// awaitProbes waits for the last callback of each scenario, and for the timers.
func awaitProbes(t *testing.T, log string, properties []string) map[string]map[moment]*answerOf {
	t.Helper()
	last := properties[len(properties)-1]
	out := map[string]map[moment]*answerOf{}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := rig.Until(ctx, func() error {
		text, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		for _, s := range scenarios {
			out[s.name] = map[moment]*answerOf{}
		}
		for line := range strings.Lines(string(text)) {
			if m := wasmLog.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
				record(out[m[1]], properties, m[2])
			}
		}
		for _, s := range scenarios {
			if out[s.name][moment{"p", last}] == nil || out[s.name][moment{"d", last}] == nil {
				return fmt.Errorf("%s is not over", s.name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// inSandbox asks the same here.
func inSandbox(t *testing.T, s scenario, properties []string) map[moment]*answerOf {
	t.Helper()
	out := map[moment]*answerOf{}
	sandbox, log, p := New(patient, nil), newLogbook(nil), probe(t, s.name, properties)
	log.tee = func(line string) { record(out, properties, line) }
	program, err := sandbox.programs.get(t.Context(), p.Module)
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := read(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := start(t.Context(), program, plugin, patient, log, newStore())
	if err != nil {
		t.Fatal(err)
	}
	defer v.close(t.Context())
	x := exchange{
		request: message{headers: headers{{":authority", "waxwing.check"}, {":path", s.path}, {":method", "GET"}, {":scheme", "http"},
			{"user-agent", "waxwing-check"}, {"twice", "1"}, {"twice", "2"}}},
		response: streamed(headers{{":status", "200"}, {"content-type", "text/plain"}, {"content-length", "18"}, {"date", "Thu, 26 Nov 2026 15:59:10 GMT"}},
			[]byte("waxwing preflight\n")),
	}
	if s.here != nil {
		s.here(&x)
	}
	if _, err := v.under(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	return out
}
