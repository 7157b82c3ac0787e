package console

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/xds"
)

// metrics serves the figures in Prometheus' format. Half of them would pass for all:
// without the loop there are none.
func (h *handler) metrics() http.HandlerFunc {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	opts := promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelWarn)}
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		status, err := everything(ctx, h.loop)
		if err != nil {
			h.refuse(w, err)
			return
		}
		own := prometheus.NewRegistry()
		own.MustRegister(&collector{status, h.stats()})
		promhttp.HandlerFor(prometheus.Gatherers{process, own}, opts).ServeHTTP(w, r)
	}
}

// collector has the figures of one moment; nothing is counted twice.
type collector struct {
	status api.Status
	stats  xds.Stats
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("waxwing_"+name, help, labels, nil)
}

var (
	descStreams   = desc("streams", "Streams of proxies that are open.")
	descUnmatched = desc("unmatched_proxies", "Connected proxies that no fleet matches.")
	descEvents    = desc("events_waiting", "What proxies said and the control loop is yet to take.")
	descInFlight  = desc("push_in_flight_bytes", "Bytes of modules sent to proxies and not yet answered.")
	descWaiting   = desc("pushes_waiting", "Pushes of modules that wait for room in the budget.")
	descTimeouts  = desc("push_timeouts_total", "Pushes of modules that were not answered in time.")
	descPushes    = desc("pushes_total", "Responses sent to proxies.")
	descPushed    = desc("pushed_bytes_total", "Bytes of resources in the responses sent to proxies.")
	descAnswers   = desc("answers_total", "Responses that proxies accepted or rejected.", "verdict")
	descRefused   = desc("refused_total", "Streams and requests refused or ended for a limit.", "limit")
	descClients   = desc("client_bytes", "Bytes held of what clients say: kept, or not read as a whole yet.", "what")
	descKept      = desc("listeners_kept_total", "Listeners that a revision of another fleet would have removed from a proxy that had not proven it: it keeps them.")
	descLimit     = desc("limit", "The limits as they are set; 0 for none.", "limit")

	descProxies  = desc("proxies", "Connected proxies of a fleet.", "fleet", "state")
	descRevision = desc("revision", "Number of a fleet's revision; 0 for none.", "fleet", "role")
	descRejected = desc("rejected_revisions", "Revisions that a fleet remembers as rejected.", "fleet")
	descProblem  = desc("problem", "1 while what is on disk for a fleet can't be served.", "fleet")
	descDegraded = desc("degraded", "1 while there is evidence against what a fleet serves.", "fleet")
	descHeldUp   = desc("waiting_seconds", "For how long a change on its way to a fleet waits for what it waits for now.", "fleet", "kind")
	descExpiry   = desc("tls_expiry_timestamp_seconds", "When the certificate of the xDS port expires that does first, of a use; Unix time.", "use")
	descUnused   = desc("tls_unused", "1 while what is on disk for the xDS port can't be used, and what was there before goes on.", "use")
	descBarred   = desc("identity_refused_total", "Connections and messages refused at the xDS port for who they are from.", "reason")
	descPlain    = desc("insecure_plaintext", "1 if the xDS port speaks plain text by --insecure-plaintext.")
	descTurned   = desc("admin_refused_total", "Requests to the admin API refused for who they are from.", "reason")
	descAdminEnd = desc("admin_tls_expiry_timestamp_seconds", "When the certificate of the admin API expires that does first, of a use; Unix time.", "use")
	descAdminOld = desc("admin_tls_unused", "1 while what is on disk for TLS of the admin API can't be used, and what was there before goes on.", "use")
	descTokens   = desc("admin_tokens_unused", "1 while what is on disk for the tokens of the admin API can't be used, and what was there before goes on.")
	descUnsaved  = desc("unsaved", "1 while the state directory does not take a fleet's state.", "fleet")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descStreams, descUnmatched, descEvents, descInFlight, descWaiting, descTimeouts, descPushes, descPushed,
		descAnswers, descRefused, descClients, descKept, descLimit, descProxies, descRevision, descRejected, descProblem, descDegraded, descHeldUp, descUnsaved,
		descExpiry, descUnused, descBarred, descPlain, descTurned, descTokens, descAdminEnd, descAdminOld,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	c.streams(out)
	c.fleets(out)
	if c.status.Port != nil {
		c.port(out, *c.status.Port)
	}
	if c.status.Admin != nil {
		c.admin(out, *c.status.Admin)
	}
}

// port has how the xDS port is guarded.
func (c *collector) port(out chan<- prometheus.Metric, p api.Port) {
	gauge(out, descPlain, is(p.Security == api.SecurityInsecure))
	certificates(out, p.Certificates, descExpiry, descUnused)
	for reason, count := range p.Refused {
		counter(out, descBarred, count, reason)
	}
}

// certificates has of each use when the first expires, and whether what is on disk is in use.
// They come with that first which expires first.
func certificates(out chan<- prometheus.Metric, all []api.Certificate, expiry, unused *prometheus.Desc) {
	said := map[string]bool{}
	for _, cert := range all {
		if !said[cert.Use] {
			said[cert.Use] = true
			gauge(out, expiry, int(cert.NotAfter.Unix()), cert.Use)
			gauge(out, unused, is(cert.Problem != ""), cert.Use)
		}
	}
}

// admin has how the admin API is guarded.
func (c *collector) admin(out chan<- prometheus.Metric, a api.Admin) {
	certificates(out, a.Certificates, descAdminEnd, descAdminOld)
	for reason, count := range a.Refused {
		counter(out, descTurned, count, reason)
	}
	if a.Tokens != nil {
		gauge(out, descTokens, is(a.Tokens.Problem != ""))
	}
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, value int, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
}

func counter(out chan<- prometheus.Metric, d *prometheus.Desc, value int64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func (c *collector) streams(out chan<- prometheus.Metric) {
	s := c.stats
	gauge(out, descStreams, s.Streams)
	gauge(out, descUnmatched, s.Unmatched)
	gauge(out, descEvents, s.Events)
	gauge(out, descInFlight, s.PushBytesInFlight)
	gauge(out, descWaiting, s.PushesWaiting)
	counter(out, descTimeouts, int64(s.PushTimeouts))
	counter(out, descPushes, s.Pushes)
	counter(out, descPushed, s.PushedBytes)
	counter(out, descAnswers, s.Accepted, "accepted")
	counter(out, descAnswers, s.Rejected, "rejected")
	for reason, n := range s.Clients.Refused {
		counter(out, descRefused, n, reason)
	}
	counter(out, descRefused, s.RefusedRequests, "max-request-bytes")
	counter(out, descRefused, s.RefusedUnmatched, "max-unmatched")
	counter(out, descKept, s.RefusedRemovals)
	gauge(out, descLimit, s.Limits.MaxStreams, "max-streams")
	gauge(out, descLimit, s.Limits.MaxClientStreams, "max-client-streams")
	gauge(out, descLimit, s.Limits.MaxClientRequests, "max-client-requests")
	gauge(out, descLimit, s.Limits.MaxClientBytes, "max-client-bytes")
	gauge(out, descLimit, s.Limits.MaxKeptBytes, "max-kept-bytes")
	gauge(out, descLimit, s.Limits.MaxNames, "max-names")
	gauge(out, descClients, s.Clients.Kept, "kept")
	gauge(out, descClients, s.Clients.Unread, "unread")
	gauge(out, descLimit, s.Limits.MaxRequestBytes, "max-request-bytes")
	gauge(out, descLimit, s.Limits.MaxUnmatched, "max-unmatched")
	gauge(out, descLimit, s.Limits.PushBudget, "push-budget-bytes")
}

func (c *collector) fleets(out chan<- prometheus.Metric) {
	type key struct {
		fleet string
		state api.ProxyState
	}
	proxies := map[key]int{}
	for _, p := range c.status.Proxies {
		proxies[key{p.Fleet, p.State}]++
	}
	for _, f := range c.status.Fleets {
		for _, state := range []api.ProxyState{api.ProxyServing, api.ProxyPushing, api.ProxyRefuses, api.ProxyWaiting} {
			gauge(out, descProxies, proxies[key{f.Fleet, state}], f.Fleet, string(state))
		}
		gauge(out, descRevision, f.Serving.Number, f.Fleet, "serving")
		gauge(out, descRevision, f.Candidate.Number, f.Fleet, "candidate")
		gauge(out, descRejected, len(f.Rejected), f.Fleet)
		if h := f.WaitsFor; h != nil {
			gauge(out, descHeldUp, int(time.Since(h.Since).Seconds()), f.Fleet, string(h.Kind))
		}
		gauge(out, descProblem, is(f.Problem != ""), f.Fleet)
		gauge(out, descDegraded, is(f.Degraded != nil), f.Fleet)
		gauge(out, descUnsaved, is(f.Unsaved != ""), f.Fleet)
	}
}

// is gives 1 for what holds.
func is(it bool) int {
	if it {
		return 1
	}
	return 0
}
