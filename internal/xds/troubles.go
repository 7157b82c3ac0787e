package xds

import (
	"maps"
	"regexp"
	"slices"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// A trouble is a refusal for which nothing that was sent is to blame, but the host of
// the proxy: another process has the port, a file is missing there, a permission. It
// is no evidence against a revision, and is not remembered: the same resource is sent
// again until the proxy can take it.
//
// troubleWords are how Envoy 1.40.0 says so. Each was had from a real one, as
// "Error adding/updating listener(s) NAME: WORDS" (and a newline), several in a row:
//
//	cannot bind '127.0.0.1:18999': Address already in use      (TCP; and '@name', an abstract socket)
//	cannot bind '127.0.0.1:80': Permission denied
//	cannot bind '10.99.99.99:18000': Cannot assign requested address
//	cannot bind '/nonexistent/dir/sock': No such file or directory
//	ListenSocket: Setting socket options failed                (transparent, mark, device: without the permission, or the device)
//	failed to open netns file /var/run/netns/x: No such file or directory
//	unable to open file '/nonexistent/a.log': No such file or directory
//	unable to read file: /certs/ca.pem
//	unable to add filesystem watch for file /nonexistent/: No such file or directory   (watched_directory)
//	unable to parse proto descriptor from file `/nonexistent/a.pb`
//	paths must refer to an existing path in the system: '/nonexistent/r.yaml' does not exist   (path_config_source)
//	file /nonexistent/body does not exist             (of a direct response; too large: "file /body size is 9000 bytes")
//	Invalid path: /nonexistent/ca.pem                 (CA, CRL, Lua, JWKS, and most else)
//	Unable to open Maxmind database file /nonexistent/city.mmdb. Error …
//	Failed to load dynamic module: libx.so not found in any search path: …
//	Environment variable doesn't exist: NAME
//	Failed to load incomplete certificate from /nonexistent/cert.pem: certificate chain not set
//	Failed to load incomplete private key from path: /nonexistent/key.pem
//	Failed to load certificate chain from /certs/half-written.pem
//	Failed to load pkcs12 from /certs/half-written.p12
//	Failed to load trusted CA certificates from /certs/half-written.pem
//	Failed to load private key from /certs/key.pem, Cause: … KEY_VALUES_MISMATCH   (a pair that is being renewed)
//
// A missing or unreadable file, and an environment variable that is not set, say some of
// these with an empty path; but so does a secret that is of another kind than is asked for, or
// lacks a part: it is the host's only where what was refused names something there. A path may be relative. What was sent along is named "<inline>":
// that is the revision's fault, and so is a file of /dev, /proc or /sys, which Envoy reads on
// no host. The certificate of a listener that is not valid yet by the proxy's clock, or not
// any more, is no refusal: Envoy takes it, and only clients notice.
var troubleWords = regexp.MustCompile(`cannot bind '[^']*': ` +
	`|ListenSocket: Setting socket options failed` +
	`|failed to open netns file ` +
	`|unable to open file '` +
	`|unable to read file: ` +
	`|unable to add filesystem watch for file ` +
	"|unable to parse proto descriptor from file `" +
	`|paths must refer to an existing path in the system: '` +
	`|\bfile \S+ (?:does not exist|size is )` +
	`|Invalid path: [^\s<]` +
	`|Unable to open Maxmind database file ` +
	`|not found in any search path: ` +
	`|Environment variable doesn't exist: ` +
	`|Failed to load incomplete (?:certificate from|private key from path:) (?:[^\s<]|\n|$)` +
	`|Failed to load (?:certificate chain|private key|pkcs12|trusted CA certificates) from (?:[^\s<]|\n|$)`)

// forbiddenPath is how Envoy says that it does not read a file, wherever it may be.
var forbiddenPath = regexp.MustCompile(`Invalid path: /(?:dev|proc|sys)/`)

// noPath is how Envoy says the same of what has no path.
var noPath = regexp.MustCompile(`Failed to load (?:incomplete (?:certificate from|private key from path:)|(?:certificate chain|private key|pkcs12|trusted CA certificates) from) (?::|,|\n|$)`)

// isTrouble reports whether a refusal is the proxy's own trouble. Where it refused several
// resources, each of them must be: one that is bad is evidence, whatever the others met.
// namesHost says that one of them names something of the proxy's host.
func isTrouble(typeURL string, versions map[string]string, message string, namesHost bool) bool {
	refused := 1
	if fleet.KindOf(typeURL).Severally {
		refused = max(1, len(named(versions, message)))
	}
	words := len(troubleWords.FindAllStringIndex(message, -1)) - len(forbiddenPath.FindAllStringIndex(message, -1))
	if !namesHost {
		words -= len(noPath.FindAllStringIndex(message, -1))
	}
	return words >= refused
}

// Retry sends the proxies with a node id once more what they could not take.
func (s *Server) Retry(nodeID string) {
	p := s.proxy(nodeID)
	if p == nil {
		return
	}
	for _, session := range p.all() {
		session.retry()
	}
}

func (s *session) retry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stuckWith() {
		return
	}
	s.halted.Store(false)
	s.notLater()
	s.advance()
}

// putOff leaves until Retry the listeners that a proxy could not take, where others are yet to
// come, and reports whether that is so: what had to close for them to come would else stay
// closed until then, though nothing is the matter with it.
func (s *session) putOff(st *typeState, p *push, versions map[string]string, message string) bool {
	if st.url != resource.ListenerType || s.target == nil || s.target.ID != p.revision {
		return false
	}
	refused := named(versions, message)
	more := slices.ContainsFunc(s.target.All(st.url), func(r *snapshot.Resource) bool {
		return st.have[r.Name] != r.Version && st.later[r.Name] != r.Version
	})
	if len(refused) == 0 || !more {
		return false
	}
	st.later = with(st.later, nil)
	maps.Copy(st.later, refused)
	return true
}

// notLater has sent again what was put off.
func (s *session) notLater() {
	if st := s.types[resource.ListenerType]; st != nil {
		st.later = nil
	}
}
