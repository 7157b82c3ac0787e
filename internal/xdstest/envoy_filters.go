package xdstest

import (
	"fmt"
	"maps"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// takeFilter takes what a filter asks for itself. It begins to ask with the listener or cluster
// that it is of, while that warms: a filter that is changed later has what somebody subscribes to
// already, and waits for anything else for ever.
func (e *Envoy) takeFilter(key sourceKey, s *source, first bool) error {
	var config corev3.TypedExtensionConfig
	if err := s.value.UnmarshalTo(&config); err != nil {
		return fmt.Errorf("filter %q %w: %w", key.name, errNotRead, err)
	}
	asks, err := sourcesIn(&config)
	if err != nil {
		return err
	}
	before := s.asks
	s.asks = asks
	for _, ask := range asks {
		if e.sources[ask] == nil && !first && e.isWarm(key) {
			e.fault("filter %s asks for %s %s when its listener or cluster is warm already: it waits for ever", key.name, kindOf(ask.url), ask.name)
		}
		e.use(ask)
	}
	for _, ask := range before {
		e.unuse(ask)
	}
	return nil
}

// isWarm is whether something that has a source, or a filter that does, does not warm any more.
func (e *Envoy) isWarm(key sourceKey) bool {
	for _, l := range slices.Concat(slices.Collect(maps.Values(e.listeners)), slices.Collect(maps.Keys(e.draining))) {
		if slices.Contains(l.sources, key) {
			return true
		}
	}
	for _, c := range e.clusters {
		if slices.Contains(c.secrets, key) {
			return true
		}
	}
	for above, s := range e.sources {
		if slices.Contains(s.asks, key) && e.isWarm(above) {
			return true
		}
	}
	return false
}
