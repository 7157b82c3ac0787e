package xds

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/xdstest"
)

// The words are those of a real Envoy 1.40.0, of one listener each.
func TestTroubleIsToldFromEvidence(t *testing.T) {
	for words, want := range map[string]bool{
		"cannot bind '127.0.0.1:18999': Address already in use":                                                                                  true,
		"cannot bind '@busyabs': Address already in use":                                                                                         true,
		"cannot bind '127.0.0.1:80': Permission denied":                                                                                          true,
		"cannot bind '10.99.99.99:18000': Cannot assign requested address":                                                                       true,
		"cannot bind '/nonexistent/dir/sock': No such file or directory":                                                                         true,
		"ListenSocket: Setting socket options failed":                                                                                            true,
		"unable to open file '/nonexistent/a.log': No such file or directory":                                                                    true,
		"unable to read file: /certs/ca.pem":                                                                                                     true,
		"Invalid path: /nonexistent/ca.pem":                                                                                                      true,
		"Failed to load incomplete certificate from /nonexistent/cert.pem: certificate chain not set":                                            true,
		"Failed to load incomplete certificate from : certificate chain not set":                                                                 true,
		"Failed to load incomplete private key from path: /nonexistent/key.pem":                                                                  true,
		"Failed to load incomplete private key from path: ":                                                                                      true,
		"Failed to load certificate chain from /certs/half.pem":                                                                                  true,
		"Failed to load private key from /certs/other.key, Cause: error:0b000074: KEY_VALUES_MISMATCH":                                           true,
		"failed to open netns file /var/run/netns/x: No such file or directory":                                                                  true,
		"unable to add filesystem watch for file /nonexistent/d/: No such file or directory":                                                     true,
		"unable to parse proto descriptor from file `/nonexistent/a.pb`":                                                                         true,
		"paths must refer to an existing path in the system: '/nonexistent/r.yaml' does not exist":                                               true,
		"paths must refer to an existing path in the system: 'etc/r.yaml' does not exist":                                                        true,
		"file /nonexistent/body does not exist":                                                                                                  true,
		"file etc/body does not exist":                                                                                                           true,
		"file /srv/body size is 9000 bytes; maximum is 4096":                                                                                     true,
		"Invalid path: etc/f.lua":                                                                                                                true,
		"Unable to open Maxmind database file /nonexistent/c.mmdb. Error opening the specified MaxMind DB file":                                  true,
		"Failed to load dynamic module: Failed to load dynamic module: libx.so not found in any search path: /libx.so or standard library paths": true,
		"Environment variable doesn't exist: LUA":                                                                                                true,
		"Failed to load certificate chain from ":                                                                                                 true,
		"Failed to load pkcs12 from /certs/half.p12":                                                                                             true,
		"Failed to load pkcs12 from <inline>":                                                                                                    false,
		"Invalid path: /proc/self/status":                                                                                                        false,
		"Provider 'p' in jwt_authn config has invalid local jwks: Jwks is an invalid JSON":                                                       false,
		"Failed to load certificate chain from <inline>":                                                                                         false,
		"Failed to load incomplete certificate from <inline>: certificate chain not set":                                                         false,
		"error adding listener: 'a' has duplicate address '127.0.0.1:18050' as existing listener":                                                false,
		"Unable to create Wasm plugin gate":                                                                                                      false,
		"Didn't find a registered implementation for 'envoy.filters.http.nothing'":                                                               false,
	} {
		message := "Error adding/updating listener(s) a: " + words + "\n"
		if got := isTrouble(resource.ListenerType, map[string]string{"a": "1", "b": "1"}, message, true); got != want {
			t.Errorf("%q is trouble: %v", words, got)
		}
	}
}

// Words with an empty path are the host's only where something of it is named: a secret of
// another kind than is asked for says them, too.
func TestEmptyPathsAreNoTroubleOfTheirOwn(t *testing.T) {
	for words, want := range map[string]bool{
		"Failed to load incomplete private key from path: ":                                   false,
		"Failed to load incomplete certificate from : certificate chain not set":              false,
		"Failed to load certificate chain from ":                                              false,
		"Failed to load private key from , Cause: error:0b000074: KEY_VALUES_MISMATCH":        false,
		"Failed to load trusted CA certificates from ":                                        false,
		"Failed to load incomplete private key from path: /nonexistent/key.pem":               true,
		"Failed to load private key from /certs/key.pem, Cause: error: KEY_VALUES_MISMATCH":   true,
		"Environment variable doesn't exist: LUA":                                             true,
		"Failed to load incomplete private key from path: \nFailed to load private key from ": false,
	} {
		if got := isTrouble(resource.SecretType, map[string]string{"a": "1"}, words, false); got != want {
			t.Errorf("%q is trouble where no file is named: %v", words, got)
		}
	}
}

// Of two listeners that are refused together one may be bad, whatever the other met.
func TestTroubleOfOneDoesNotExcuseAnother(t *testing.T) {
	const busy = "cannot bind '127.0.0.1:80': Permission denied"
	versions := map[string]string{"a": "1", "b": "1", "c": "1"}
	for second, want := range map[string]bool{busy: true, "no filter chains specified": false} {
		message := "Error adding/updating listener(s) a: " + busy + "\nb: " + second + "\n"
		if got := isTrouble(resource.ListenerType, versions, message, true); got != want {
			t.Errorf("%q: %v", second, got)
		}
	}
}

// What a proxy could not take for its own trouble is sent again when it is retried, and
// not before, to the same process and the next; only then is the revision served.
func TestTroubleIsRetried(t *testing.T) {
	served(t, func(t *testing.T, h *harness, sotw bool) {
		target := build(t, "echo", "module 1")
		var busy atomic.Bool
		var asked atomic.Int32
		busy.Store(true)
		p := h.proxy("a", sotw, func(r xdstest.Response) error {
			if !strings.HasSuffix(r.TypeURL, "Listener") {
				return nil
			}
			if asked.Add(1); busy.Load() {
				return errBusy
			}
			return nil
		})
		h.connect(p)
		h.expect(Connected, "a")
		h.Assign("a", target)
		for try := int32(1); try <= 2; try++ {
			if e := h.expect(Rejected, "a"); !e.Trouble || asked.Load() != try {
				t.Fatalf("try %d: %+v, asked %d times", try, e, asked.Load())
			}
			h.Assign("a", target) // it is no reason to try again
			busy.Store(try == 1)
			h.Retry("a")
		}
		if e := h.expect(Served, "a"); e.Revision != target.Pair {
			t.Errorf("served %s", e.Revision)
		}
		if nack := h.Proxies()[0].LastNACK; nack != nil {
			t.Errorf("it serves what it is said to have refused: %+v", nack)
		}
	})
}
