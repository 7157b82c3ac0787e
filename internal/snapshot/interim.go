package snapshot

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A proxy is sent clusters before listeners. So a filter that moves from a cluster to a listener
// would be in neither until the proxy has the listener, and requests would pass unfiltered. Such a
// proxy is brought to the revision by way of an interim snapshot, in which clusters have both the
// filters that they had and those that they are to have. Until it has left that, a request may meet
// the filter twice.

// httpOptions is the key of an extension of clusters: what they have for HTTP.
const httpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// Interim is the snapshot that a proxy which has before is given on its way to target. It is nil where
// the proxy can go there at once: where no cluster loses a filter, or no listener changes as well, so
// that none can have the filter in its place. An error says which cluster can't be read.
func Interim(target, before *Snapshot) (*Snapshot, error) {
	if target == nil || before == nil {
		return nil, nil //nolint:nilnil // there is nothing to lose
	}
	losers := losing(target, before)
	if len(losers) == 0 || !target.leadsElsewhere(before) {
		return nil, nil //nolint:nilnil // as nearly always
	}
	out := *target
	out.ID += "~interim"
	out.types = map[string]*collection{}
	for url, c := range target.types {
		out.types[url] = &collection{byName: maps.Clone(c.byName), sorted: slices.Clone(c.sorted)}
	}
	clusters := out.types[resource.ClusterType]
	for i, r := range clusters.sorted {
		if !slices.Contains(losers, r) {
			continue
		}
		own, err := r.keeping(before.Get(resource.ClusterType, r.Name))
		if err != nil {
			return nil, fmt.Errorf("what cluster %q has and is to lose: %w", r.Name, err)
		}
		clusters.sorted[i], clusters.byName[r.Name] = own, own
	}
	return &out, out.findNeeds(before)
}

// losing are the clusters of target that had a filter before and have it no more.
func losing(target, before *Snapshot) (out []*Resource) {
	for _, r := range target.All(resource.ClusterType) {
		was := before.Get(resource.ClusterType, r.Name)
		if was == nil || was.Version == r.Version {
			continue
		}
		gone := func(name string) bool { return !slices.Contains(r.filters, name) }
		if slices.ContainsFunc(was.filters, gone) {
			out = append(out, r)
		}
	}
	return out
}

// leadsElsewhere is whether anything changes by which requests reach clusters: a listener, its routes, or
// a filter of it that comes by ECDS. A filter that is there with another module is the same filter.
func (s *Snapshot) leadsElsewhere(before *Snapshot) bool {
	listeners := fleet.KindOf(resource.ListenerType).Turn
	for _, k := range fleet.Kinds {
		if k.Turn != listeners && k.Type != resource.ExtensionConfigType {
			continue
		}
		for _, r := range s.All(k.Type) {
			was := before.Get(k.Type, r.Name)
			if !r.shadow && (was == nil || was.Version != r.Version && r.module == "") {
				return true
			}
		}
	}
	return false
}

// keeping is a cluster that has the filters which it had before as well as its own.
func (r *Resource) keeping(before *Resource) (*Resource, error) {
	was, is := &clusterv3.Cluster{}, &clusterv3.Cluster{}
	if err := before.Wire.GetResource().UnmarshalTo(was); err != nil {
		return nil, err
	}
	if err := r.Wire.GetResource().UnmarshalTo(is); err != nil {
		return nil, err
	}
	options := optionsOf(is)
	if options == nil {
		options = plainOptions(is)
	}
	options.HttpFilters = withThoseOf(optionsOf(was).GetHttpFilters(), options.GetHttpFilters())
	packed, err := packAny(options)
	if err != nil {
		return nil, err
	}
	if is.TypedExtensionProtocolOptions == nil {
		is.TypedExtensionProtocolOptions = map[string]*anypb.Any{}
	}
	is.TypedExtensionProtocolOptions[httpOptions] = packed
	own, err := newResource(resource.ClusterType, r.Name, is)
	if err != nil {
		return nil, err
	}
	return own, own.read()
}

// withThoseOf are filters of a cluster, and before them those that it had and they lack. The last of each
// is the codec, which is no filter of the fleet's.
func withThoseOf(were, are []*hcmv3.HttpFilter) []*hcmv3.HttpFilter {
	if len(are) == 0 {
		return were
	}
	stay := runs(are)
	var out []*hcmv3.HttpFilter
	for _, f := range were[:len(were)-1] {
		if !f.GetDisabled() && !slices.Contains(stay, filterName(f)) {
			out = append(out, f)
		}
	}
	return append(out, are...)
}

// runs are the names of the filters that requests to a cluster pass, without the codec.
func runs(filters []*hcmv3.HttpFilter) (out []string) {
	for _, f := range filters[:max(0, len(filters)-1)] {
		if !f.GetDisabled() {
			out = append(out, filterName(f))
		}
	}
	return out
}

// optionsOf is what a cluster says of HTTP, nil for nothing.
func optionsOf(m proto.Message) *upstreamv3.HttpProtocolOptions {
	c, _ := m.(*clusterv3.Cluster)
	packed := c.GetTypedExtensionProtocolOptions()[httpOptions]
	if packed == nil {
		return nil
	}
	options, _ := fleet.Content(packed).(*upstreamv3.HttpProtocolOptions)
	return options
}

// plainOptions says in such options what a cluster without them says in fields of its own, or by saying
// nothing: Envoy reads those fields only where a cluster has no such options.
func plainOptions(c *clusterv3.Cluster) *upstreamv3.HttpProtocolOptions {
	//nolint:staticcheck // deprecated fields, still taken
	two, one, common, upstream := c.GetHttp2ProtocolOptions(), c.GetHttpProtocolOptions(), c.GetCommonHttpProtocolOptions(), c.GetUpstreamHttpProtocolOptions()
	explicit := &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{}
	if two != nil {
		explicit.ProtocolConfig = &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: two}
	} else {
		if one == nil {
			one = &corev3.Http1ProtocolOptions{}
		}
		explicit.ProtocolConfig = &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: one}
	}
	return &upstreamv3.HttpProtocolOptions{
		CommonHttpProtocolOptions: common, UpstreamHttpProtocolOptions: upstream,
		UpstreamProtocolOptions: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit},
	}
}
