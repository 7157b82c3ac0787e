package fleet

import (
	"maps"
	"path"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// A Match says which proxies a fleet is for. A proxy belongs to it when every
// criterion that is set holds; an empty Match takes every proxy. It is a part of
// the saved state: see snapshot.Format.
type Match struct {
	ID       string            `yaml:"id" json:"id,omitempty"`           // a glob (path.Match) of the node id
	Cluster  string            `yaml:"cluster" json:"cluster,omitempty"` // the node's cluster, exactly
	Locality Locality          `yaml:"locality" json:"locality,omitzero"`
	Labels   map[string]string `yaml:"labels" json:"labels,omitempty"` // labels of the node's metadata
}

// A Locality narrows by place; empty parts match any.
type Locality struct {
	Region  string `yaml:"region" json:"region,omitempty"`
	Zone    string `yaml:"zone" json:"zone,omitempty"`
	SubZone string `yaml:"sub_zone" json:"sub_zone,omitempty"`
}

// Matches reports whether a proxy belongs to the fleet.
func (m Match) Matches(node *corev3.Node) bool {
	if m.ID != "" {
		// The pattern was checked when the file was read.
		if ok, err := path.Match(m.ID, SaidID(node)); err != nil || !ok {
			return false
		}
	}
	l := node.GetLocality()
	return equalOrAny(m.Cluster, node.GetCluster()) &&
		equalOrAny(m.Locality.Region, l.GetRegion()) &&
		equalOrAny(m.Locality.Zone, l.GetZone()) &&
		equalOrAny(m.Locality.SubZone, l.GetSubZone()) &&
		m.labelsMatch(node)
}

func (m Match) labelsMatch(node *corev3.Node) bool {
	labels := node.GetMetadata().GetFields()[LabelsKey].GetStructValue().GetFields()
	for key, want := range m.Labels {
		if value, ok := labels[key]; !ok || value.GetStringValue() != want {
			return false
		}
	}
	return true
}

// Criteria counts what is set. Of several fleets that match a proxy the one
// with the most criteria takes it, so that a catch-all does not hide a special case.
func (m Match) Criteria() int {
	n := len(m.Labels)
	for _, s := range []string{m.ID, m.Cluster, m.Locality.Region, m.Locality.Zone, m.Locality.SubZone} {
		if s != "" {
			n++
		}
	}
	return n
}

// Attributes are the criteria that are set, by name: "id" is a glob, the others
// are exact. AttributesOf has those of a proxy.
func (m Match) Attributes() map[string]string {
	out := map[string]string{}
	for name, value := range map[string]string{
		"id": m.ID, "cluster": m.Cluster, "region": m.Locality.Region, "zone": m.Locality.Zone, "sub_zone": m.Locality.SubZone,
	} {
		if value != "" {
			out[name] = value
		}
	}
	for key, value := range m.Labels {
		out["label."+key] = value
	}
	return out
}

// AttributesOf are what Match looks at in a proxy.
func AttributesOf(node *corev3.Node) map[string]string {
	m := Match{ID: SaidID(node), Cluster: node.GetCluster(), Labels: map[string]string{}}
	l := node.GetLocality()
	m.Locality = Locality{Region: l.GetRegion(), Zone: l.GetZone(), SubZone: l.GetSubZone()}
	for key, value := range node.GetMetadata().GetFields()[LabelsKey].GetStructValue().GetFields() {
		m.Labels[key] = value.GetStringValue()
	}
	return m.Attributes()
}

// IsZero reports whether a Match takes every proxy.
func (m Match) IsZero() bool { return m.Criteria() == 0 }

func equalOrAny(want, got string) bool { return want == "" || want == got }

// String is the match as a fleet file has it, on one line.
func (m Match) String() string {
	attributes := m.Attributes()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		parts = append(parts, name+": "+attributes[name])
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
