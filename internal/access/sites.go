package access

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// crossSite is whether a page of another site has a browser ask: Origin or Sec-Fetch-Site say
// so, which no script of a page can set. Who is no browser sends neither. Other pages of this
// machine, on other ports, are other sites too.
func crossSite(r *http.Request) bool {
	own := origin{scheme: "http", host: r.Host}
	if r.TLS != nil {
		own.scheme = "https"
	}
	for _, text := range r.Header.Values("Origin") {
		if from, ok := parseOrigin(text); !ok || from.plain() != own.plain() {
			return true
		}
	}
	return slices.ContainsFunc(r.Header.Values("Sec-Fetch-Site"), func(site string) bool {
		return site != "same-origin" && site != "none" // none: somebody has typed the address
	})
}

// origin is the part of a URL that says who is one with whom.
type origin struct{ scheme, host string }

func parseOrigin(text string) (origin, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || text != u.Scheme+"://"+u.Host {
		return origin{}, false // null, too
	}
	return origin{u.Scheme, u.Host}, true
}

// plain is the origin as it is compared.
func (o origin) plain() origin {
	o.host = strings.ToLower(o.host)
	port := map[string]string{"http": ":80", "https": ":443"}[o.scheme]
	if port != "" {
		o.host = strings.TrimSuffix(o.host, port)
	}
	return o
}
