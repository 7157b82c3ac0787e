package xds

import (
	"strings"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// maxRejections is how many refusals of a proxy are remembered.
const maxRejections = 100

// rejections are what a proxy refused: of one type each, the versions by name that
// were new to it in the response, and that it did not say apart. Any of them may be
// at fault, so what is not sent again is all of them together: with one of them
// mended, the others go out with it.
type rejections []rejection

type rejection struct {
	typeURL  string
	versions map[string]string
}

// add remembers a refusal, and the proxy's words for it.
func (r rejections) add(typeURL string, versions map[string]string, message string) rejections {
	if fleet.KindOf(typeURL).Severally {
		versions = blamed(versions, message)
	}
	if len(versions) == 0 {
		return r
	}
	r = append(r, rejection{typeURL, versions})
	return r[max(0, len(r)-maxRejections):]
}

// blamed is what of it Envoy names: "Error adding/updating listener(s) NAME: why",
// where it has taken the rest. All, if it names none.
func blamed(versions map[string]string, message string) map[string]string {
	if some := named(versions, message); len(some) > 0 {
		return some
	}
	return versions
}

// named are the versions of what a message names.
func named(versions map[string]string, message string) map[string]string {
	some := map[string]string{}
	for name, version := range versions {
		if names(message, name+": ") {
			some[name] = version
		}
	}
	return some
}

// names is whether a message has a name that is not the end of a longer one.
func names(message, name string) bool {
	for rest := message; ; {
		i := strings.Index(rest, name)
		if i < 0 {
			return false
		}
		if i == 0 || strings.ContainsRune(" \n,", rune(rest[i-1])) {
			return true
		}
		rest = rest[i+1:]
	}
}

// hold reports whether a resource of a target was refused, alone or together with
// others that the target has in the same versions.
func (r rejections) hold(target *snapshot.Snapshot, typeURL string, one *snapshot.Resource) bool {
	for _, refused := range r {
		if refused.typeURL == typeURL && refused.versions[one.Name] == one.Version && refused.all(target) {
			return true
		}
	}
	return false
}

func (r rejection) all(target *snapshot.Snapshot) bool {
	for name, version := range r.versions {
		if has := target.Get(r.typeURL, name); has == nil || has.Version != version {
			return false
		}
	}
	return true
}
