package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/snapshot"
)

// Processes with one node id and different labels or certificates are proxies of their own, each with a
// name that the streams give it (see internal/xds/twins.go). Here each is placed by its own labels,
// like any; what is left to do is to say so, and to keep over a restart which of them has the
// id for its name.

// twins is what is known of them.
type twins struct {
	named   map[string]map[string]bool // those that have another name than their node id, by that
	stored  map[string]string          // as they are on disk
	writing bool
}

const (
	twinsFile  = "twins.json"
	twinsRetry = 5 * time.Second // where the disk did not take it
)

type storedTwins struct {
	Format int               `json:"format"`
	Labels map[string]string `json:"labels"` // a hash of those of the process that has the id for its name
}

// twinCame and twinLeft keep the table of them.
func (c *Control) twinCame(n *nodeState) {
	id, said := n.node.GetId(), fleet.SaidID(n.node)
	if id != said {
		if c.twins.named == nil {
			c.twins.named = map[string]map[string]bool{}
		}
		if c.twins.named[said] == nil {
			c.twins.named[said] = map[string]bool{}
		}
		c.twins.named[said][id] = true
		text := c.twinsText(n)
		c.Log.Warn(text, "node", id)
		c.feed.put(api.Event{Kind: api.EventNotice, Node: id, Message: text})
	}
	if id != said || c.twins.stored[id] != "" {
		c.storeTwins()
	}
}

func (c *Control) twinLeft(n *nodeState) {
	said := fleet.SaidID(n.node)
	delete(c.twins.named[said], n.node.GetId())
	if len(c.twins.named[said]) == 0 {
		delete(c.twins.named, said)
	}
}

// twinsText says of a proxy which processes share its node id, and what labels and certificate each
// has.
func (c *Control) twinsText(n *nodeState) string {
	said := fleet.SaidID(n.node)
	names := c.twins.named[said]
	if len(names) == 0 {
		return ""
	}
	const most = 5
	var have []string
	if first := c.nodes[said]; first != nil {
		have = append(have, fmt.Sprintf("%s has %s", said, labelsText(first)))
	} else {
		have = append(have, said+" has left")
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		have = append(have, fmt.Sprintf("%s has %s", name, labelsText(c.nodes[name])))
	}
	more := ""
	if len(have) > most {
		more, have = fmt.Sprintf(" and %d more", len(have)-most), have[:most]
	}
	differ := "labels"
	if c.certificatesDiffer(said) {
		differ = "certificates"
	}
	return fmt.Sprintf("the node id %s is used by processes with different %s: %s%s; each is a proxy of its own, placed by its own labels: start each with an id of its own (--service-node)",
		said, differ, strings.Join(have, ", "), more)
}

// certificatesDiffer is whether the processes that share a node id have different names by their
// certificates.
func (c *Control) certificatesDiffer(said string) bool {
	seen := map[string]bool{}
	for name := range c.twins.named[said] {
		seen[fleet.CertificateOf(c.nodes[name].node)] = true
	}
	if first := c.nodes[said]; first != nil {
		seen[fleet.CertificateOf(first.node)] = true
	}
	return len(seen) > 1
}

// labelsText is what fleets go by in a proxy, but for its id, and its certificate.
func labelsText(n *nodeState) string {
	var out []string
	attributes := fleet.AttributesOf(n.node)
	delete(attributes, "id")
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		out = append(out, name+": "+attributes[name])
	}
	text := "{" + strings.Join(out, ", ") + "}"
	if name := fleet.CertificateOf(n.node); name != "" {
		text += fmt.Sprintf(" and the certificate of %q", name)
	}
	return text
}

// storeTwins has what has changed of the names written, beside the loop.
func (c *Control) storeTwins() {
	if c.twins.writing || c.twins.stored == nil && len(c.twins.named) == 0 {
		return
	}
	now := c.delivery.Twins()
	if maps.Equal(now, c.twins.stored) {
		return
	}
	data, err := json.Marshal(storedTwins{Format: snapshot.Format, Labels: now})
	if err != nil {
		c.Log.Error("which processes share a node id can't be written", "error", err)
		return
	}
	c.twins.writing = true
	c.writing.Go(func() {
		err := c.Store.Save(twinsFile, data)
		c.results.Put(func() {
			c.twins.writing = false
			if err != nil {
				c.Log.Error("which processes share a node id is not in the state directory: it is tried again", "error", err)
				c.wake(time.Now().Add(twinsRetry))
				return
			}
			c.twins.stored = now
			c.storeTwins()
		})
	})
}

// restoreTwins reads it, when the server starts. Where that fails the names go by who comes
// first, as they did when there were none.
func (c *Control) restoreTwins() {
	data, err := c.Store.Load(twinsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var stored storedTwins
	if err == nil {
		err = json.Unmarshal(data, &stored)
	}
	if err != nil {
		c.Log.Error("which processes share a node id is not known any more", "error", err)
		return
	}
	c.twins.stored = stored.Labels
	c.delivery.SetTwins(stored.Labels)
}
