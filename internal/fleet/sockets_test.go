package fleet

import (
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

// A listener goes before it comes again where an Envoy would keep its sockets as they
// are, or refuse; and only there, since meanwhile nobody is answered.
func TestReopened(t *testing.T) {
	const at = `"address": {"socket_address": {"address": "127.0.0.1", "port_value": 80}}`
	const wide = `"address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}}`
	const other = `"address": {"socket_address": {"address": "127.0.0.1", "port_value": 81}}`
	const more = `"additional_addresses": [{"address": {"socket_address": {"address": "127.0.0.1", "port_value": 81}}}]`
	const alone = `, "enable_reuse_port": false`
	for name, c := range map[string]struct {
		a, b     string
		reopened bool // from one to the other, either way
	}{
		"as it is":                            {at, at, false},
		"bound":                               {at + `, "bind_to_port": false`, at, true},
		"said to be bound":                    {at + `, "bind_to_port": true`, at, false},
		"bound elsewhere":                     {at + `, "bind_to_port": false`, other, false},
		"any port, bound":                     {`"bind_to_port": false, "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}`, `"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}`, true},
		"beside others":                       {at, at + alone, true},
		"beside others, elsewhere":            {at, other + alone, true},
		"another port":                        {at, other, false},
		"another port, alone":                 {at + alone, other + alone, false},
		"every interface":                     {at, wide, false},
		"every interface, alone":              {at + alone, wide + alone, true},
		"one more address":                    {at, at + "," + more, false},
		"one more address, alone":             {at + alone, at + "," + more + alone, true},
		"options":                             {at, at + `, "freebind": true`, false},
		"options, alone":                      {at + alone, at + `, "freebind": true` + alone, true},
		"a backlog":                           {at + alone, at + `, "tcp_backlog_size": 5` + alone, false},
		"UDP":                                 {at, `"address": {"socket_address": {"protocol": "UDP", "address": "127.0.0.1", "port_value": 80}}`, false},
		"the rights of a socket":              {`"address": {"pipe": {"path": "/s"}}`, `"address": {"pipe": {"path": "/s", "mode": 384}}`, true},
		"another socket":                      {`"address": {"pipe": {"path": "/s"}}`, `"address": {"pipe": {"path": "/t", "mode": 384}}`, false},
		"IPv4, too":                           {`"address": {"socket_address": {"address": "::", "port_value": 80}}`, `"address": {"socket_address": {"address": "::", "port_value": 80, "ipv4_compat": true}}`, true},
		"an internal listener":                {`"internal_listener": {}`, at, false},
		"an internal listener, beside others": {`"internal_listener": {}`, at + alone, true},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := socketsOf(t, c.a), socketsOf(t, c.b)
			if there, back := a.Reopened(b), b.Reopened(a); there != c.reopened || back != c.reopened {
				t.Errorf("reopened: %t and back: %t, want %t", there, back, c.reopened)
			}
		})
	}
}

// Of a listener for gRPC clients an Envoy takes no notice: what it has under the name goes
// on, unless that goes first. There is nothing to go the other way round.
func TestReopenedForClients(t *testing.T) {
	const at = `"address": {"socket_address": {"address": "127.0.0.1", "port_value": 80}}`
	const clients = `"api_listener": {}`
	for before, reopened := range map[string]bool{
		at: true, `"internal_listener": {}`: true, at + `, "bind_to_port": false`: true, clients: false, at + "," + clients: false,
	} {
		for _, next := range []string{clients, at + "," + clients} {
			if is := socketsOf(t, before).Reopened(socketsOf(t, next)); is != reopened {
				t.Errorf("%s to %s is reopened: %t, want %t", before, next, is, reopened)
			}
			if socketsOf(t, next).Reopened(socketsOf(t, before)) {
				t.Errorf("%s to %s is reopened", next, before)
			}
		}
	}
}

func socketsOf(t *testing.T, fields string) Sockets {
	t.Helper()
	var l listenerv3.Listener
	if err := protojson.Unmarshal([]byte("{"+fields+"}"), &l); err != nil {
		t.Fatal(err)
	}
	return SocketsOf(&l)
}
