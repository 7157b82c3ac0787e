package snapshot

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A neighbour that is left out of the shadow may refuse a request in the real listener: a good
// filter's check is then answered by it, and not as it is wanted. That tells nothing of the
// filter, which the shadow has proven. What a neighbour answers so is known by its type.

// A Refusal is what filters of a type answer by themselves, beside what a status of their
// configuration says (status_on_error, say).
type Refusal struct {
	Statuses  []int
	Redirects bool // any 3xx
}

// Refusals are those of the filters in LeftOut that refuse requests, by the package of the type.
// What stands for a service that is not there (502, 503, 504) is told otherwise, and is none.
var Refusals = map[string]Refusal{
	"ext_authz":           {Statuses: []int{http.StatusUnauthorized, http.StatusForbidden}, Redirects: true},
	"ext_proc":            {Statuses: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError}, Redirects: true},
	"oauth2":              {Statuses: []int{http.StatusFound, http.StatusUnauthorized}},
	"jwt_authn":           {Statuses: []int{http.StatusUnauthorized, http.StatusForbidden}},
	"rbac":                {Statuses: []int{http.StatusForbidden}},
	"credential_injector": {Statuses: []int{http.StatusUnauthorized}},
	"local_ratelimit":     {Statuses: []int{http.StatusTooManyRequests}},
	"ratelimit":           {Statuses: []int{http.StatusTooManyRequests}},
	"rate_limit_quota":    {Statuses: []int{http.StatusTooManyRequests}},
}

// otherwise is that of any other filter which the fleet file leaves out.
var otherwise = Refusal{Statuses: []int{http.StatusUnauthorized, http.StatusForbidden}}

// String is a refusal as docs/fleet-file.md has it.
func (r Refusal) String() string {
	var out []string
	for _, status := range r.Statuses {
		out = append(out, strconv.Itoa(status))
	}
	if r.Redirects {
		out = append(out, "3xx")
	}
	return strings.Join(out, ", ")
}

// A refuser is a filter of a real listener that is not in its shadow, and refuses requests.
type refuser struct {
	Refusal

	name    string   // for people
	why     string   // it is left out
	behind  []string // the fleet file's filters that come after it: what it refuses, they never see
	content string   // what it is; one with another is new
}

func (r refuser) gives(status int) bool {
	return slices.Contains(r.Statuses, status) || r.Redirects && status/100 == 3
}

// refusers are those of a connection manager.
func (s *Snapshot) refusers(hcm *hcmv3.HttpConnectionManager) []refuser {
	ours := s.filtersOf(hcm.GetHttpFilters())
	var out []refuser
	for _, f := range hcm.GetHttpFilters() {
		if slices.Contains(ours, f.GetName()) {
			for i := range out {
				out[i].behind = append(out[i].behind, f.GetName())
			}
			continue
		}
		why := s.leftOut(f)
		if why == "" {
			continue
		}
		content := s.contentOf(f)
		kind := packageOf(content)
		r := refuser{name: fmt.Sprintf("HTTP filter %q (%s)", filterName(f), cmp.Or(kind, "of another type")), why: why, content: contentText(f, content)}
		if r.Refusal = refusalOf(kind); len(r.Statuses) == 0 && !r.Redirects {
			continue
		}
		r.Statuses = append(slices.Clone(r.Statuses), configuredStatuses(content)...)
		out = append(out, r)
	}
	return out
}

// refusalOf is what a filter that is left out answers, by its type.
func refusalOf(kind string) Refusal {
	if r, known := Refusals[kind]; known || LeftOut[kind] != "" {
		return r
	}
	return otherwise
}

// contentText is what a filter is configured with, wherever that stands.
func contentText(f *hcmv3.HttpFilter, content proto.Message) string {
	if content == nil {
		content = f
	}
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(content)
	if err != nil {
		return "" // it was read from its bytes
	}
	return fmt.Sprint(content.ProtoReflect().Descriptor().FullName(), f.GetDisabled(), string(text))
}

// configuredStatuses are those that the configuration of a filter has it answer.
func configuredStatuses(content proto.Message) []int {
	var out []int
	if content == nil {
		return nil
	}
	content.ProtoReflect().Range(func(_ protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if m, is := v.Interface().(protoreflect.Message); is {
			if status, is := m.Interface().(*typev3.HttpStatus); is {
				out = append(out, int(status.GetCode()))
			}
		}
		return true
	})
	return out
}

// RefusedBy is which neighbours, for people, may have answered a check so that was asked through
// a real listener, named by its way; "" for none. The check must have been asked in a shadow
// listener, else nothing is proven. Where a check wants an answer of its filter's own, only
// what comes before that can refuse it. isNew says that one of them is not, or is another, in what
// was there before, nil for nothing.
func (s *Snapshot) RefusedBy(way, key string, status int, before *Snapshot) (who string, isNew bool) {
	i, at := slices.Index(s.checkKeys, key), s.entryOf(way)
	if i < 0 || at == nil || !s.provenInShadow(s.Meta.Checks[i]) {
		return "", false
	}
	var had []refuser
	if was := before.entryAt(at); was != nil {
		had = was.refusers
	}
	var names []string
	for _, r := range at.refusers {
		check := s.Meta.Checks[i]
		if !r.gives(status) || !check.Passes() && !slices.Contains(r.behind, check.Filter) {
			continue
		}
		names = append(names, fmt.Sprintf("%s, which no shadow listener has: %s", r.name, r.why))
		isNew = isNew || !slices.ContainsFunc(had, func(o refuser) bool { return o.name == r.name && o.content == r.content })
	}
	return strings.Join(names, "; or "), isNew
}

// entryOf is the real listener, or the filter chain of it, of a way that can be asked.
func (s *Snapshot) entryOf(way string) *Entry {
	entries := s.Entries()
	i := slices.IndexFunc(entries, func(e Entry) bool { return !e.Shadow && e.Why == "" && e.Way() == way })
	if i < 0 {
		return nil
	}
	return &entries[i]
}

// entryAt is the entry that stands where another revision has one; nil where none does.
func (s *Snapshot) entryAt(other *Entry) *Entry {
	if s == nil {
		return nil
	}
	return s.entryOf(other.Way())
}

// provenInShadow is whether a check is asked in a shadow listener.
func (s *Snapshot) provenInShadow(c Check) bool {
	return c.Unasked(fleet.InShadow) == "" && slices.ContainsFunc(s.Entries(), func(e Entry) bool {
		return e.Shadow && e.Why == "" && e.Has(c.Filter)
	})
}
