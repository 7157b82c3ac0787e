package fleet

import (
	"strings"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	keyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/api_key_auth/v3"
	basicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/basic_auth/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	sessionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/stateful_session/v3"
	"go.yaml.in/yaml/v3"
)

// refuseIdentity reports what filters refuse that say who a client is. No key and no password
// is in what they report.
func (p *parser) refuseIdentity(m proto.Message, n *yaml.Node) {
	switch m := m.(type) {
	case *jwtv3.JwtAuthentication:
		p.jwt(m, n)
	case *jwtv3.JwtProvider:
		if why := badKeys(inline(m.GetLocalJwks())); why != "" {
			p.add(lineOf(n, "local_jwks"), "local_jwks: %s", why)
		}
	case *keyv3.ApiKeyAuth:
		p.apiKeys(m.GetCredentials(), n)
		p.keySources(m.GetKeySources(), n)
	case *keyv3.ApiKeyAuthPerRoute:
		p.apiKeys(m.GetCredentials(), n)
		p.keySources(m.GetKeySources(), n)
	case *basicv3.BasicAuth:
		p.passwords(m.GetUsers(), lineOf(n, "users"))
	case *basicv3.BasicAuthPerRoute:
		p.passwords(m.GetUsers(), lineOf(n, "users"))
	case *sessionv3.StatefulSession:
		p.session(m, n)
	case *statev3.FilterStateValue:
		p.stateKey(m, n)
	}
}

// jwt reports requirements that name what is not there.
func (p *parser) jwt(m *jwtv3.JwtAuthentication, n *yaml.Node) {
	for i, rule := range m.GetRules() {
		p.requirement(m, rule.GetRequires(), lineOf(n, "rules", i))
		if name := rule.GetRequirementName(); name != "" && m.GetRequirementMap()[name] == nil {
			p.add(lineOf(n, "rules", i, "requirement_name"), "requirement_name: %q is not in requirement_map", name)
		}
	}
	for name, r := range m.GetRequirementMap() {
		p.requirement(m, r, lineOf(n, "requirement_map", name))
	}
	for name, r := range m.GetFilterStateRules().GetRequires() {
		p.requirement(m, r, lineOf(n, "filter_state_rules", "requires", name))
	}
}

func (p *parser) requirement(m *jwtv3.JwtAuthentication, r *jwtv3.JwtRequirement, line int) {
	for _, name := range []string{r.GetProviderName(), r.GetProviderAndAudiences().GetProviderName()} {
		if name != "" && m.GetProviders()[name] == nil {
			p.add(line, "jwt_authn: the provider %q is not under providers", name)
		}
	}
	for _, one := range append(r.GetRequiresAny().GetRequirements(), r.GetRequiresAll().GetRequirements()...) {
		p.requirement(m, one, line)
	}
}

func (p *parser) apiKeys(credentials []*keyv3.Credential, n *yaml.Node) {
	seen := map[string]bool{}
	for i, c := range credentials {
		if seen[c.GetKey()] {
			p.add(lineOf(n, "credentials", i), "api_key_auth: the key of client %q is that of another one", c.GetClient())
		}
		seen[c.GetKey()] = true
	}
}

// keySources reports a place of keys that is none.
func (p *parser) keySources(sources []*keyv3.KeySource, n *yaml.Node) {
	for i, s := range sources {
		if s.GetHeader() == "" && s.GetQuery() == "" && s.GetCookie() == "" {
			p.add(lineOf(n, "key_sources", i), "key_sources: give one of header, query and cookie")
		}
	}
}

// passwords reports users that Envoy can't read, line by line, as it does.
// (Envoy: readHtpasswd in source/extensions/filters/http/basic_auth/config.cc.)
func (p *parser) passwords(users *corev3.DataSource, line int) {
	if inlined(users) && len(inline(users)) == 0 {
		p.add(line, "users: nobody is in there")
	}
	seen, number := map[string]bool{}, 0
	for user := range strings.SplitSeq(string(inline(users)), "\n") {
		if number++; user == "" || user[0] == '#' {
			continue
		}
		name, hash, found := strings.Cut(user, ":")
		switch {
		case !found || name == "":
			p.add(line, "users: line %d is not of the form NAME:{SHA}HASH", number)
		case !strings.HasPrefix(hash, "{SHA}"):
			p.add(line, "users: passwords are hashed as `htpasswd -s` does it, and begin with {SHA}")
			return
		case len(hash) != len("{SHA}")+lengthOfHash:
			p.add(line, "users: the hash in line %d has not %d characters (is there a space after it?)", number, lengthOfHash)
		case seen[name]:
			p.add(line, "users: the user in line %d is in a line before it, too", number)
		}
		seen[name] = true
	}
}

// lengthOfHash is that of a SHA-1 in base64.
const lengthOfHash = 28
