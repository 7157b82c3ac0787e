package fleet

import (
	"strings"

	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"go.yaml.in/yaml/v3"
)

// refuseHTTP reports what does not go together in how a listener speaks HTTP.
func (p *parser) refuseHTTP(m proto.Message, n *yaml.Node) {
	switch m := m.(type) {
	case *listenerv3.Listener:
		if m.GetFcdsConfig() != nil && m.GetFilterChainMatcher() == nil {
			p.add(lineOf(n, "fcds_config"), "listener %q: filter chains by FCDS are found by filter_chain_matcher, which is missing", m.GetName())
		}
		for i, chain := range m.GetFilterChains() {
			p.http3(m, chain, lineOf(n, "filter_chains", i))
		}
		p.http3(m, m.GetDefaultFilterChain(), lineOf(n, "default_filter_chain"))
		p.quic(m, n)
	case *hcmv3.HttpConnectionManager:
		if m.GetStripAnyHostPort() && m.GetStripMatchingHostPort() {
			p.add(lineOf(n, "strip_matching_host_port"), "give one of strip_any_host_port and strip_matching_host_port")
		}
		if rds := m.GetRds(); rds != nil && rds.GetConfigSource() == nil && !strings.HasPrefix(rds.GetRouteConfigName(), "xdstp:") {
			p.add(lineOf(n, "rds"), "rds: %q has no config_source that says from where", rds.GetRouteConfigName())
		}
		p.upgradeFilters(m, n)
	case *corev3.Http2ProtocolOptions:
		p.settings(m, n)
	case *routev3.RateLimit_Action:
		p.extension(m.GetExtension().GetTypedConfig(), lineOf(n, "extension"), "rate_limits")
	}
}

// http3 reports HTTP/3 where no QUIC is.
func (p *parser) http3(l *listenerv3.Listener, chain *listenerv3.FilterChain, line int) {
	for _, f := range chain.GetFilters() {
		m, ok := Content(f.GetTypedConfig()).(*hcmv3.HttpConnectionManager)
		if ok && m.GetCodecType() == hcmv3.HttpConnectionManager_HTTP3 && l.GetUdpListenerConfig().GetQuicOptions() == nil {
			p.add(line, "listener %q: codec_type: HTTP3 is for a listener with QUIC (udp_listener_config: {quic_options: {}})", l.GetName())
		}
	}
}

// upgradeFilters end as all others do.
func (p *parser) upgradeFilters(m *hcmv3.HttpConnectionManager, n *yaml.Node) {
	for i, u := range m.GetUpgradeConfigs() {
		for j, f := range u.GetFilters() {
			if f.GetTypedConfig() == nil {
				continue
			}
			if wrong := httpChain.wrong(typeOf(f.GetTypedConfig()), j == len(u.GetFilters())-1); wrong != "" {
				p.add(lineOf(n, "upgrade_configs", i, "filters", j), "HTTP filter %q %s", f.GetName(), wrong)
			}
		}
	}
}

// settings reports parameters of HTTP/2 that are given by name, too, twice, or not to be given.
// (Envoy: validateCustomSettingsParameters in source/common/http/utility.cc.)
func (p *parser) settings(m *corev3.Http2ProtocolOptions, n *yaml.Node) {
	named := map[uint32]bool{1: m.GetHpackTableSize() != nil, 3: m.GetMaxConcurrentStreams() != nil, 4: m.GetInitialStreamWindowSize() != nil}
	values := map[uint32]uint32{}
	for i, s := range m.GetCustomSettingsParameters() {
		id, value := s.GetIdentifier().GetValue(), s.GetValue().GetValue()
		line := lineOf(n, "custom_settings_parameters", i)
		before, twice := values[id]
		switch {
		case named[id]:
			p.add(line, "custom_settings_parameters: %d is given by its name, too", id)
		case id == 2 && value == 1:
			p.add(line, "custom_settings_parameters: Envoy has no server push (2)")
		case id == 8:
			p.add(line, "custom_settings_parameters: 8 is allow_connect: give it by its name")
		case twice && before != value:
			p.add(line, "custom_settings_parameters: %d is given twice", id)
		}
		values[id] = value
	}
}
