package api

import "time"

// ProxyPage is what GET /v1/proxies answers: connected proxies in the order of their
// node ids. What a page shows is of the moment of its question: a proxy is on one page at
// most, and one that stays connected on exactly one.
type ProxyPage struct {
	Proxies []Proxy `json:"proxies"`
	Next    string  `json:"next,omitempty"` // ?after= of the next page; "": this is the last
}

// The sizes of a page.
const (
	DefaultLimit = 500  // where none is asked for
	MaxLimit     = 2000 // about 1.2 MB
)

// Proxy is one connected proxy.
type Proxy struct {
	Node     string `json:"node"`
	Cluster  string `json:"cluster,omitempty"`
	Fleet    string `json:"fleet"`              // whose revision it runs; "" when no fleet matches it
	Arriving string `json:"arriving,omitempty"` // the fleet that it is on its way to
	Envoy    string `json:"envoy"`              // version
	Variant  string `json:"variant"`            // of the protocol: delta or sotw
	Streams  int    `json:"streams"`
	// Twins says that processes with other labels have its node id, too, and what each has.
	Twins  string     `json:"twins,omitempty"`
	State  ProxyState `json:"state"`
	Since  time.Time  `json:"since"` // of the state
	Served Revision   `json:"served"`
	Wanted Revision   `json:"wanted"`
	Part   Revision   `json:"part,omitzero"`   // what it runs a part of, beside Served: it can't take the rest
	Shadow Revision   `json:"shadow"`          // in its shadow listeners
	Phase  Phase      `json:"phase,omitempty"` // in a rollout
	// Trouble is what keeps it from what it is to have, and is no fault of that. It is tried
	// again at NextTry; where that is the zero time, TroubleEnds says what ends it.
	Trouble     string    `json:"trouble,omitempty"`
	NextTry     time.Time `json:"next_try,omitzero"`
	TroubleEnds string    `json:"trouble_ends,omitempty"`
	// Clock is what is wrong with its clock, by more than five minutes.
	Clock string `json:"clock,omitempty"`
	// Forbidden is a fleet that it would be of if its certificate let it; so it gets nothing.
	Forbidden string `json:"forbidden,omitempty"`
	// Kept says why it keeps what it runs, and what a person can do, where no fleet's match
	// claims it.
	Kept string `json:"kept,omitempty"`
	// Waits says why there is nothing to give it, and what a person can do, where it is
	// ProxyWaiting.
	Waits     string    `json:"waits,omitempty"`
	Missing   []string  `json:"missing,omitempty"` // evidence that it can't give
	Modules   []Module  `json:"modules,omitempty"` // of what it serves
	Connected time.Time `json:"connected"`
	Counted   time.Time `json:"counted,omitzero"` // when its counters last came in
	LastACK   *Verdict  `json:"last_ack,omitempty"`
	LastNACK  *Verdict  `json:"last_nack,omitempty"`
}

// Verdict is what a proxy last answered to resources.
type Verdict struct {
	At       time.Time `json:"at"`
	Resource string    `json:"resource"`          // type and names
	Message  string    `json:"message,omitempty"` // the proxy's words, where it refused
}

// A ProxyState sums a proxy up.
type ProxyState string

// The states of a proxy.
const (
	ProxyServing ProxyState = "serving"    // it accepted all that it is to have
	ProxyPushing ProxyState = "pushing"    // it is yet to accept it
	ProxyRefuses ProxyState = "refuses"    // it refused it
	ProxyClosed  ProxyState = "closed"     // the listeners that it had opened for a rejected first revision are taken from it
	ProxyTrouble ProxyState = "in trouble" // it can't take it, for trouble of its own: it is tried again
	ProxyWaiting ProxyState = "waiting"    // there is nothing to give it
	ProxyKept    ProxyState = "kept"       // it keeps what it runs: no fleet's match claims it any more
)
