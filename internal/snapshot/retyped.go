package snapshot

import (
	"fmt"
	"slices"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Retyped is a filter that is of another type by the same name than in what is served, or asks
// for what the served one does not.
type Retyped struct {
	Name    string
	Was, Is string // messages of Envoy's; the same where it only asks for something else
}

// Retyped are the filters which no proxy that has served takes: their names don't say their
// types and what they ask for, and an Envoy takes no other type by a name, and asks for nothing
// new.
func (s *Snapshot) Retyped(served *Snapshot) ([]Retyped, error) {
	var out []Retyped
	if served == nil {
		return nil, nil
	}
	for _, r := range s.All(resource.ExtensionConfigType) {
		before := served.Get(resource.ExtensionConfigType, r.Name)
		if before == nil || r.module != "" && before.module != "" {
			continue
		}
		was, err := before.filter()
		if err != nil {
			return nil, err
		}
		is, err := r.filter()
		if err != nil {
			return nil, err
		}
		retyped := Retyped{r.Name, fleet.TypeOf(was), fleet.TypeOf(is)}
		if retyped.Was != retyped.Is || asksForNew(was, is) {
			out = append(out, retyped)
		}
	}
	return out, nil
}

// asksForNew is whether a filter asks for something that it did not ask for.
func asksForNew(was, is *corev3.TypedExtensionConfig) bool {
	before := fleet.AsksOf(was)
	return slices.ContainsFunc(fleet.AsksOf(is), func(ask string) bool { return !slices.Contains(before, ask) })
}

func (r *Resource) filter() (*corev3.TypedExtensionConfig, error) {
	var config corev3.TypedExtensionConfig
	if err := r.Wire.GetResource().UnmarshalTo(&config); err != nil {
		return nil, fmt.Errorf("reading filter %q: %w", r.Name, err)
	}
	return &config, nil
}
