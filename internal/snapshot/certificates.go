package snapshot

import (
	"cmp"
	"slices"
	"strings"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A Certificate is one that a resource has.
type Certificate struct {
	fleet.Certificate
	Of string // "secret web", say
}

// Certificates are those that come with a revision, that soonest ends first. It reads each
// resource anew.
func (s *Snapshot) Certificates() []Certificate {
	var out []Certificate
	for _, kind := range fleet.Kinds {
		for _, r := range s.All(kind.Type) {
			if r.shadow || strings.HasPrefix(r.Name, ShadowPrefix) || r.module != "" {
				continue
			}
			m, err := r.Wire.GetResource().UnmarshalNew()
			if err != nil {
				continue // it was made of one
			}
			for _, c := range fleet.CertificatesOf(m) {
				out = append(out, Certificate{Certificate: c, Of: kind.Name + " " + kind.ForPeople(r.Name)})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Certificate) int { return cmp.Compare(a.NotAfter.Unix(), b.NotAfter.Unix()) })
	return out
}
