package fleet

import (
	"fmt"
	"regexp"
	"strings"
)

// badKeys is what is wrong with a set of keys, "" for nothing, or where only a proxy can say.
// (Envoy: createFromJwksCore in source/common/jwt/jwks.cc.)
func badKeys(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	set, err := looseObject(string(text))
	if err != nil {
		return "it is no JSON of a set of keys"
	}
	keys, given := set["keys"]
	list, isList := keys.([]any)
	switch {
	case !given && certificates(set):
		return ""
	case !given || keys == nil:
		return "it has no field \"keys\""
	case !isList:
		return "\"keys\" is no list"
	}
	return unusable(list)
}

// certificates says that a set is one of certificates by name, which Envoy takes, too.
func certificates(set map[string]any) bool {
	for name, value := range set {
		text, _ := value.(string)
		if name == "" || !strings.HasPrefix(text, "-----BEGIN CERTIFICATE-----\n") || !strings.HasSuffix(text, "\n-----END CERTIFICATE-----\n") {
			return false
		}
	}
	return len(set) > 0
}

// unusable is what is wrong with the first of some keys, of which none can be used. One that
// can is enough for Envoy.
func unusable(keys []any) string {
	why := ""
	for _, one := range keys {
		key, ok := one.(map[string]any)
		if !ok {
			continue
		}
		wrong := badKey(key)
		if wrong == "" {
			return ""
		}
		if why == "" {
			why = wrong
		}
	}
	if why == "" {
		return "it has no key"
	}
	return why
}

// keyFields are those that a key must have, by its kty.
var keyFields = map[string][]string{"RSA": {"n", "e"}, "EC": {"x", "y"}, "oct": {"k"}, "OKP": {"crv", "x"}}

// base64URL is what Envoy may take for base64.
var base64URL = regexp.MustCompile(`^[A-Za-z0-9_=.\s-]*$`)

func badKey(key map[string]any) string {
	if key["kty"] == nil {
		return "a key has no \"kty\""
	}
	kty, _ := key["kty"].(string)
	fields, known := keyFields[kty]
	if !known {
		return "the \"kty\" of a key is one of RSA, EC, oct and OKP"
	}
	for _, field := range fields {
		if text, ok := key[field].(string); !ok || !base64URL.MatchString(text) {
			return fmt.Sprintf("a key with the \"kty\" %s has no %q, or one that is not in base64url", kty, field)
		}
	}
	return ""
}
