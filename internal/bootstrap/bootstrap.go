// Package bootstrap writes the Envoy bootstrap that points a proxy at the server.
package bootstrap

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

//go:embed bootstrap.yaml.tmpl
var text string

// Options are what a bootstrap depends on.
type Options struct {
	NodeID  string // "" leaves it to Envoy's --service-node
	Cluster string
	Region  string
	Zone    string
	SubZone string
	Labels  map[string]string // for `match: {labels: …}` and rollout stages
	Listen  map[string]string // listener name to the address it has on this proxy
	Server  string            // host:port of the server, as the proxy reaches it
	Admin   string            // host:port of Envoy's admin interface
	SotW    bool              // state-of-the-world rather than delta
	// Shadow is host:port of the shadow listeners, "" for abstract Unix sockets.
	Shadow string
	// NoEvidence leaves out health discovery and the metrics sink: the server then
	// has the proxy's word alone.
	NoEvidence bool
	// TLS is the folder of the proxy's certificate on its host, "" for plain text: tls.crt,
	// tls.key, ca.crt and SecretFiles. TLSServerName is the name or IP address that the server's
	// certificate must have, "" for the host of Server.
	TLS, TLSServerName string
	Command            string // the command line that printed it, for its first line
}

// Write writes the bootstrap, in YAML.
func Write(w io.Writer, o Options) error {
	server, err := split("server", o.Server)
	if err != nil {
		return err
	}
	admin, err := split("admin", o.Admin)
	if err != nil {
		return err
	}
	for name, address := range o.Listen {
		if _, err := fleet.ParseAddress(address); err != nil {
			return fmt.Errorf("listener %q: %w", name, err)
		}
	}
	if o.Shadow != "" {
		if _, err := fleet.ParseAddress(o.Shadow); err != nil {
			return fmt.Errorf("shadow listeners: %w", err)
		}
	}
	if err := o.checkTLS(); err != nil {
		return err
	}
	name := cmp.Or(o.TLSServerName, server.Host)
	t, err := template.New("bootstrap").Funcs(template.FuncMap{"quote": quote, "key": key}).Parse(text)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return t.Execute(w, map[string]any{
		"O": o, "Server": server, "Admin": admin, "ServerCluster": fleet.ServerCluster,
		"LabelsKey": fleet.LabelsKey, "ListenKey": fleet.ListenKey, "WaxwingKey": fleet.WaxwingKey,
		"Name": name, "IsIP": net.ParseIP(name) != nil,
		"APIType": map[bool]string{false: "DELTA_GRPC", true: "GRPC"}[o.SotW],
	})
}

type hostPort struct {
	Host string
	Port uint16
}

func split(what, address string) (hostPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return hostPort{}, fmt.Errorf("%s address: %w", what, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" {
		return hostPort{}, fmt.Errorf("%s address %q: not HOST:PORT with a number for a port", what, address)
	}
	return hostPort{host, uint16(n)}, nil
}

// quote writes a string as YAML, of which JSON is a part, but for characters that JSON may have as
// they are and YAML may not: https://yaml.org/spec/1.2.2/#51-character-set
func quote(s string) (string, error) {
	if !utf8.ValidString(s) { // it would become another
		return "", fmt.Errorf("%q is not in UTF-8", s)
	}
	b, err := json.Marshal(s)
	var out strings.Builder
	for _, r := range string(b) {
		if r >= 0x7f && r <= 0x9f || r == 0xfeff || r == 0xfffe || r == 0xffff {
			fmt.Fprintf(&out, "\\u%04x", r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String(), err
}

// key writes a string as the key of a mapping in a mapping of the node's metadata. A long one must say that it
// is a key: https://yaml.org/spec/1.2.2/#example-single-pair-explicit-entry
func key(s string) (string, error) {
	quoted, err := quote(s)
	if len(quoted) > 1000 { // characters are 1,024 at most
		quoted = "? " + quoted + "\n      "
	}
	return quoted, err
}

// ParseLabels reads "key=value" words.
func ParseLabels(words []string) (map[string]string, error) {
	labels := map[string]string{}
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is not KEY=VALUE", word)
		}
		if _, twice := labels[key]; twice {
			return nil, errors.New(key + " is given twice")
		}
		labels[key] = value
	}
	return labels, nil
}
