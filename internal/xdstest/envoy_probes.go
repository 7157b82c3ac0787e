package xdstest

import (
	"context"
	"time"

	"google.golang.org/grpc"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

// answerProbes is one health discovery stream, to its end: it asks itself what it is
// told to, and reports.
func (e *Envoy) answerProbes(ctx context.Context, conn grpc.ClientConnInterface) error {
	h := e.health
	if err := h.Connect(ctx, conn); err != nil {
		return err
	}
	defer h.Close()
	failed := map[string]bool{} // probes that failed once, by cluster
	for {
		h.mu.Lock()
		specifier, changed, err := h.specifier, h.changed, h.err
		h.mu.Unlock()
		if err != nil {
			return err
		}
		var due <-chan time.Time
		if len(specifier.GetClusterHealthChecks()) > 0 {
			due = time.After(specifier.GetInterval().AsDuration())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-due:
			if err := h.Report(specifier, e.probe(specifier, failed)...); err != nil && err != ErrSilent { //nolint:errorlint // it is returned as it is
				return err
			}
		}
	}
}

// probe asks every check of a specifier once.
func (e *Envoy) probe(specifier *healthv3.HealthCheckSpecifier, failed map[string]bool) []Result {
	var results []Result
	for _, cluster := range specifier.GetClusterHealthChecks() {
		check := cluster.GetHealthChecks()[0]
		status, good := e.check(cluster, check.GetHttpHealthCheck())
		name := cluster.GetClusterName()
		failed[name] = failed[name] || !good
		result := Result{Health: corev3.HealthStatus_HEALTHY, Status: status}
		if !good || failed[name] && check.GetHealthyThreshold().GetValue() > 1 {
			result.Health = corev3.HealthStatus_UNHEALTHY
		}
		results = append(results, result)
	}
	return results
}

func (e *Envoy) check(cluster *healthv3.ClusterHealthCheck, check *corev3.HealthCheck_HttpHealthCheck) (status int, good bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	address := addressText(cluster.GetLocalityEndpoints()[0].GetEndpoints()[0].GetAddress())
	if address == "" {
		e.fault("the health check %s of an endpoint without an address: Envoy aborts", cluster.GetClusterName())
		return 0, false
	}
	l := e.at(address)
	if l == nil || l.chain.hcm == nil || !speaks(l.chain.hcm, check.GetCodecClientType()) {
		return 0, false
	}
	headers := map[string]string{}
	for _, h := range check.GetRequestHeadersToAdd() {
		headers[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
	}
	a := e.answer(l.chain, SimRequest{TLS: len(cluster.GetTransportSocketMatches()) > 0, Headers: headers})
	return a.Status, a.Failed == "" && expected(check.GetExpectedStatuses(), a.Status)
}

// speaks reports whether a listener understands a health checker's protocol.
func speaks(hcm *hcmv3.HttpConnectionManager, codec typev3.CodecClientType) bool {
	switch hcm.GetCodecType() {
	case hcmv3.HttpConnectionManager_HTTP1:
		return codec == typev3.CodecClientType_HTTP1
	case hcmv3.HttpConnectionManager_HTTP2:
		return codec == typev3.CodecClientType_HTTP2
	case hcmv3.HttpConnectionManager_HTTP3:
		return codec == typev3.CodecClientType_HTTP3
	case hcmv3.HttpConnectionManager_AUTO:
	}
	return true
}

func expected(ranges []*typev3.Int64Range, status int) bool {
	for _, r := range ranges {
		if int64(status) >= r.GetStart() && int64(status) < r.GetEnd() {
			return true
		}
	}
	return false
}
