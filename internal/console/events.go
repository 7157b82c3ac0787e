package console

import (
	"encoding/json"
	"net/http"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// events goes on until the one who follows, or the server, has had enough. It is cut off
// if it is too slow; with the ID of the last event it goes on where it was.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	if err := known(r, []string{api.ParamAfter}); err != nil {
		h.refuse(w, err)
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
	if r.Method == http.MethodHead {
		return
	}
	flush, lines := http.NewResponseController(w), json.NewEncoder(w)
	for err := flush.Flush(); err == nil; err = flush.Flush() {
		select {
		case record, ok := <-records:
			if !ok || lines.Encode(record) != nil { // too slow, or gone
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
