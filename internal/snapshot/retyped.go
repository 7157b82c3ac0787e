package snapshot

import (
	"fmt"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Retyped is a filter that has another type by the same name than in what is served.
type Retyped struct {
	Name    string
	Was, Is string // messages of Envoy's
}

// Retyped are the filters which no proxy that has served takes: their names don't say their
// types, and an Envoy takes no other type by a name.
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
		was, err := before.filterType()
		if err != nil {
			return nil, err
		}
		is, err := r.filterType()
		if err != nil {
			return nil, err
		}
		if was != is {
			out = append(out, Retyped{r.Name, was, is})
		}
	}
	return out, nil
}

func (r *Resource) filterType() (string, error) {
	var config corev3.TypedExtensionConfig
	if err := r.Wire.GetResource().UnmarshalTo(&config); err != nil {
		return "", fmt.Errorf("reading filter %q: %w", r.Name, err)
	}
	return fleet.TypeOf(&config), nil
}
