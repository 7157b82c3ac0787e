package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// maxFollowers is how many may follow the events at once. Each has a buffer of its own, and a
// connection: they are few of access.DefaultBounds.Conns, so that others find one.
const maxFollowers = 64

// eventPatience is how long one who follows may take to read an event.
const eventPatience = 30 * time.Second

// events goes on until the one who follows, or the server, has had enough. It is cut off
// if it is too slow; with the ID of the last event it goes on where it was.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	if err := known(r, []string{api.ParamAfter}); err != nil {
		h.refuse(w, err)
		return
	}
	select {
	case h.followers <- struct{}{}:
		defer func() { <-h.followers }()
	default:
		w.Header().Set("Connection", "close") // else it would be kept, and be one of those
		w.Header().Set("Retry-After", "5")
		h.refuse(w, api.NewError(api.CodeUnavailable, fmt.Sprintf("%d follow the events already: no more may", maxFollowers)))
		return
	}
	records, stop, err := h.loop.Subscribe(r.URL.Query().Get(api.ParamAfter))
	if err != nil {
		h.refuse(w, err)
		return
	}
	defer stop()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		h.follow(w, r, records)
	}
}

// follow passes on what happens. The server's limits are for short questions: in their place
// each event has a time of its own, and the request none.
func (h *handler) follow(w http.ResponseWriter, r *http.Request, records <-chan api.Event) {
	flush, lines := http.NewResponseController(w), json.NewEncoder(w)
	_ = flush.SetReadDeadline(time.Time{}) // a test's answer has none
	for {
		_ = flush.SetWriteDeadline(time.Now().Add(eventPatience))
		if flush.Flush() != nil {
			return
		}
		select {
		case record, ok := <-records:
			_ = flush.SetWriteDeadline(time.Now().Add(eventPatience))
			if !ok || lines.Encode(record) != nil { // too slow, or gone
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
