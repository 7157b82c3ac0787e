// Package api is the admin API as it goes over the wire: its types, and the one client
// that asks it. What is said of a rollout it has from package rollout, which the state
// directory has it from, too; but for that it imports the standard library alone, so that
// whatever talks to a server, the demo included, is built without the server.
//
// All of it is below /v1. What is there stays: fields and words may be added, and who
// reads an answer passes over what it does not know. Times are RFC 3339 in UTC or with
// an offset, durations are nanoseconds, and an ID that is "" stands for none.
package api

// The paths of the API.
const (
	PathStatus   = "/v1/status"   // GET: Status; see StatusQuery
	PathProxies  = "/v1/proxies"  // GET: ProxyPage; see ProxyQuery
	PathEvents   = "/v1/events"   // GET: an Event a line (NDJSON), as they happen
	PathHistory  = "/v1/history"  // GET ?fleet=NAME: a list of Entry, the oldest first
	PathDiff     = "/v1/diff"     // GET ?fleet=NAME: Difference
	PathMoves    = "/v1/moves"    // POST a list of Claim: a list of Move
	PathCommands = "/v1/commands" // POST Command: 204, or an Error that says why not

	PathHealth  = "/healthz" // GET: 200 while the server runs
	PathReady   = "/readyz"  // GET: 200 once there is a revision to serve
	PathMetrics = "/metrics" // GET: figures, in Prometheus' text format
)

// The parameters of the API's questions.
const (
	ParamFleet = "fleet" // the name of a fleet; where there is only one, "" is that
	ParamLimit = "limit" // how many proxies at most
	ParamAfter = "after" // the proxies after this node id, or the events after this ID
)
