package fleet

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// What of a check Envoy's health checks can ask.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/health_check.proto

// bodyless are the methods with which a health check sends no body.
var bodyless = []string{http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodTrace}

// Unasked says why a check is not asked in a place; "" if it is.
func (c Check) Unasked(place Place) string {
	switch {
	case !c.In(place):
		return cmp.Or(c.Reason, "its where leaves it out")
	case place == InSandbox:
		return ""
	case c.Fails():
		return "one of its callouts fails, which those of a proxy do not"
	case len(c.Trailers) > 0:
		return "its request has trailers, which a health check can't send"
	case corev3.RequestMethod_value[c.Method] == 0:
		return fmt.Sprintf("there is no method %s in a health check", c.Method)
	case c.Bodyless():
		return "a health check sends no body with " + c.Method
	case slices.ContainsFunc(c.Headers, func(h Header) bool { return !utf8.ValidString(h.Value) }):
		return "a header of its request is not UTF-8, which a health check does not send" // tried: Envoy 1.40.0 takes raw_value for none
	}
	return ""
}

// Bodyless reports whether a check has a body, and a method with which a health check sends none.
func (c Check) Bodyless() bool { return c.Body != "" && slices.Contains(bodyless, c.Method) }

// Unproven is what of a check is not looked at in a place where it is asked.
func (c Check) Unproven(place Place) []string {
	var out []string
	if place == InSandbox {
		return nil
	}
	if len(c.Expect.Headers) > 0 {
		out = append(out, "the headers of the answer")
	}
	if lacks := c.bodyUnproven(); lacks != "" {
		out = append(out, lacks)
	}
	switch seen := c.Expect.Upstream; {
	case seen.IsZero():
	case place == InLive:
		out = append(out, "what the service sees")
	default:
		if slices.ContainsFunc(seen.Headers, func(m HeaderMatch) bool { return !m.Text() }) {
			out = append(out, "headers that are not UTF-8 of what the service sees")
		}
		if !seen.Body.IsZero() {
			out = append(out, "the body that the service sees")
		}
	}
	if within := c.Expect.Within; within > 0 && within < ProxyTime {
		out = append(out, fmt.Sprintf("that it takes %v at most", within))
	}
	return out
}

// bodyUnproven is what of the answer's body a health check does not look at.
func (c Check) bodyUnproven() string {
	switch m := c.Expect.Body; {
	case m.IsZero():
		return ""
	case len(c.Holds()) == 0:
		return "the body of the answer"
	case m.Matches != "" || len(m.JSON) > 0:
		return "all that is said of the body of the answer"
	case m.Equal != nil:
		return "that nothing else is in the body of the answer"
	}
	return ""
}

// Holds are parts of the answer's body that a proxy looks for, in this order.
func (c Check) Holds() []Octets {
	m := c.Expect.Body
	if c.Method == http.MethodHead {
		return nil
	}
	if m.Equal != nil && *m.Equal != "" {
		return []Octets{*m.Equal} // it has the others in it
	}
	return slices.DeleteFunc(slices.Clone(m.Contains), func(part Octets) bool { return part == "" })
}

// Mark is what a check's requests have as CheckHeader.
func (c Check) Mark() string {
	if values := c.Values(CheckHeader); len(values) > 0 {
		return values[0]
	}
	return c.Name
}

// Otherwise is the status that a shadow listener answers where the service would see something
// else than the check says: none that is expected.
func (c Check) Otherwise() int {
	for _, status := range []int{491, 391, 291} {
		if !c.Expects(status) {
			return status
		}
	}
	return 591
}

// OwnAnswer reports whether a shadow listener needs an answer for this check alone.
func (c Check) OwnAnswer() bool {
	return len(c.Service.Headers) > 0 || c.Service.Body != nil || !c.Expect.Body.IsZero()
}

// ServiceBody is the body that the service answers with where there is none.
func (c Check) ServiceBody() Octets {
	switch {
	case c.Service.Body != nil:
		return *c.Service.Body
	case c.Expect.Body.IsZero(), c.Upstream == http.StatusNoContent, c.Upstream == http.StatusNotModified:
		return ""
	}
	return DefaultBody
}

// DefaultBody is what a service answers in the sandbox, and in a shadow where a check looks at
// it, if nothing is said of it.
const DefaultBody = "waxwing preflight\n"

// Text reports whether a match is one that Envoy's configuration can have: of UTF-8.
func (m HeaderMatch) Text() bool { return utf8.ValidString(string(m.Value)) }

// Proof is what of a check is shown where, for people.
func (c Check) Proof() string {
	var out []string
	for _, place := range places {
		text := string(place)
		if why := c.Unasked(place); why != "" {
			text = "not in " + text + ": " + why
			if place == InLive || place == InShadow {
				text = "not by " + text[len("not in "):]
			}
		} else if lacks := c.Unproven(place); len(lacks) > 0 {
			text += " (but not " + strings.Join(lacks, ", ") + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}
