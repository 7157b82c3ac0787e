package xdstest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// fetchTimeout is Envoy's default initial_fetch_timeout: what did not come by then is
// gone on without.
const fetchTimeout = 15 * time.Second

// A simCluster is a cluster of a simulated Envoy.
type simCluster struct {
	name       string
	sum        uint64
	of         []string // aggregate: the clusters below it
	byEDS      string   // the name of its endpoints, "" for another kind
	assignment *endpointv3.ClusterLoadAssignment
	redirect   bool // ORIGINAL_DST: a header says where to
	secrets    []sourceKey
	sourced    bool // its secrets were asked for
}

func readCluster(r named) (*simCluster, error) {
	var m clusterv3.Cluster
	if err := r.packed.UnmarshalTo(&m); err != nil {
		return nil, fmt.Errorf("cluster %q %w: %w", r.name, errNotRead, err)
	}
	c := &simCluster{name: m.GetName(), sum: sum(r.packed), assignment: m.GetLoadAssignment()}
	switch {
	case m.GetClusterType() != nil:
		var aggregate aggregatev3.ClusterConfig
		if m.GetClusterType().GetTypedConfig().MessageIs(&aggregate) {
			if err := m.GetClusterType().GetTypedConfig().UnmarshalTo(&aggregate); err != nil {
				return nil, fmt.Errorf("cluster %q %w: %w", r.name, errNotRead, err)
			}
			c.of = aggregate.GetClusters()
		}
	case m.GetType() == clusterv3.Cluster_EDS:
		c.byEDS = m.GetName()
		if s := m.GetEdsClusterConfig().GetServiceName(); s != "" {
			c.byEDS = s
		}
		c.assignment = nil
	case m.GetType() == clusterv3.Cluster_ORIGINAL_DST:
		c.redirect = true
	}
	var err error
	c.secrets, err = secretsIn(&m)
	return c, err
}

// takeClusters: those that are added come first, and then removals.
func (e *Envoy) takeClusters(r *response) error {
	var refused []string
	for _, one := range r.resources {
		c, err := readCluster(one)
		if err != nil {
			refused = append(refused, err.Error())
			continue
		}
		e.addCluster(c)
	}
	for _, name := range gone(r, e.clusters, e.warmingClusters) {
		e.removeCluster(name)
	}
	e.clustersChanged()
	if len(refused) > 0 {
		return fmt.Errorf("error adding/updating cluster(s) %s", strings.Join(refused, ", "))
	}
	return nil
}

func (e *Envoy) addCluster(c *simCluster) {
	if w := e.warmingClusters[c.name]; w != nil {
		if w.sum == c.sum {
			return
		}
		e.release(w)
	} else if a := e.clusters[c.name]; a != nil && a.sum == c.sum {
		return
	}
	e.warmingClusters[c.name] = c
	if c.byEDS != "" {
		e.watch(resource.EndpointType).want(c.byEDS)
	}
	e.within(fetchTimeout, func() bool { return e.warmingClusters[c.name] == c }, func() {
		e.fault("cluster %s waited %s for %s", c.name, fetchTimeout, e.clusterWaits(c))
		e.activate(c)
		e.clustersChanged()
	})
}

func (e *Envoy) removeCluster(name string) {
	for _, from := range []map[string]*simCluster{e.clusters, e.warmingClusters} {
		if c := from[name]; c != nil {
			delete(from, name)
			e.release(c)
		}
	}
}

// release gives up what a cluster asked for.
func (e *Envoy) release(c *simCluster) {
	if c.byEDS != "" {
		e.watch(resource.EndpointType).drop(c.byEDS)
	}
	if c.sourced {
		for _, key := range c.secrets {
			e.unuse(key)
		}
	}
}

// takeEndpoints gives endpoints to all clusters that have them, those that warm included.
func (e *Envoy) takeEndpoints(r *response) error {
	for _, one := range r.resources {
		var m endpointv3.ClusterLoadAssignment
		if err := one.packed.UnmarshalTo(&m); err != nil {
			return fmt.Errorf("endpoints %q %w: %w", one.name, errNotRead, err)
		}
		for _, of := range []map[string]*simCluster{e.clusters, e.warmingClusters} {
			for _, c := range of {
				if c.byEDS == m.GetClusterName() {
					c.assignment = &m
				}
			}
		}
	}
	e.clustersChanged()
	return nil
}

// clusterWaits says what a cluster is not ready for, "" if it is.
func (e *Envoy) clusterWaits(c *simCluster) string {
	if c.byEDS != "" && c.assignment == nil {
		return "endpoints " + c.byEDS
	}
	return e.missing(c.secrets)
}

// clustersChanged activates clusters that are ready. Secrets are asked for once
// the endpoints are there. While one warms, clusters are not acknowledged.
func (e *Envoy) clustersChanged() {
	for _, name := range slices.Sorted(maps.Keys(e.warmingClusters)) {
		c := e.warmingClusters[name]
		if !c.sourced && (c.byEDS == "" || c.assignment != nil) {
			c.sourced = true
			for _, key := range c.secrets {
				e.use(key)
			}
		}
		if e.clusterWaits(c) == "" {
			e.activate(c)
		}
	}
	if !e.initialized && len(e.warmingClusters) == 0 {
		e.initialized = true
		e.watch(resource.ListenerType).wildcard = true
	}
	e.types[resource.ClusterType].paused = e.initialized && len(e.warmingClusters) > 0
}

func (e *Envoy) activate(c *simCluster) {
	delete(e.warmingClusters, c.name)
	if before := e.clusters[c.name]; before != nil {
		e.release(before)
	}
	e.clusters[c.name] = c
}
