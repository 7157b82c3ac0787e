package identity

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// A RoleRule gives certificates a role in the admin API, as a Rule gives them node ids.
type RoleRule struct {
	Pattern `yaml:",inline"`

	Role api.Role `yaml:"role" json:"role"`
}

// Roles say which certificate has which role. Without any, each may view.
type Roles struct {
	list  []RoleRule
	names []*regexp.Regexp
	kinds []string
}

// Set implements pflag.Value: a list of rules in YAML, or JSON.
func (r *Roles) Set(text string) error {
	var out Roles
	if err := decode(text, &out.list); err != nil {
		return err
	}
	for i, rule := range out.list {
		kind, pattern, err := rule.one()
		if err == nil && !slices.Contains(api.Roles, rule.Role) {
			err = fmt.Errorf("role %q is neither view nor operate", rule.Role)
		}
		if err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
		out.kinds, out.names = append(out.kinds, kind), append(out.names, nameExpression(kind, pattern))
	}
	*r = out
	return nil
}

// Of is the role of a certificate, and the name by which it has it; "" for none.
func (r *Roles) Of(c *x509.Certificate) (name string, role api.Role) {
	if len(r.list) == 0 {
		return nameOf(c), api.RoleView
	}
	names := namesOf(c)
	for _, kind := range kinds {
		for i, rule := range r.list {
			for _, name := range names[kind] {
				if r.kinds[i] == kind && r.names[i].MatchString(name) {
					return name, rule.Role
				}
			}
		}
	}
	return nameOf(c), ""
}

// String implements pflag.Value: the rules as JSON on one line.
func (r *Roles) String() string {
	if r == nil || len(r.list) == 0 {
		return "[]"
	}
	text, _ := json.Marshal(r.list) // strings alone
	return string(text)
}

// Type implements pflag.Value.
func (r *Roles) Type() string { return "roles" }
