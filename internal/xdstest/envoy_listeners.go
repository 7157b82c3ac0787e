package xdstest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/anypb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

// A simListener is a listener of a simulated Envoy.
type simListener struct {
	name      string
	sum       uint64
	packed    *anypb.Any
	addresses []string
	udp       bool
	bound     bool
	shares    bool     // SO_REUSEPORT
	chain     simChain // that a client without further marks meets
	sources   []sourceKey
	types     map[sourceKey][]string // of the filters among them, those that it takes
}

func readListener(r named) (*simListener, error) {
	var m listenerv3.Listener
	if err := r.packed.UnmarshalTo(&m); err != nil {
		return nil, fmt.Errorf("listener %q %w: %w", r.name, errNotRead, err)
	}
	l := &simListener{name: m.GetName(), sum: sum(r.packed), packed: r.packed, udp: m.GetUdpListenerConfig() != nil}
	l.bound = m.GetInternalListener() == nil && (m.GetBindToPort() == nil || m.GetBindToPort().GetValue())
	l.shares = m.GetEnableReusePort() == nil || m.GetEnableReusePort().GetValue()
	switch {
	case m.GetApiListener() != nil: // it is nowhere
	case m.GetInternalListener() != nil:
		l.addresses = []string{"internal:" + m.GetName()}
	default:
		l.addresses = []string{addressText(m.GetAddress())}
		for _, more := range m.GetAdditionalAddresses() {
			l.addresses = append(l.addresses, addressText(more.GetAddress()))
		}
	}
	var err error
	if l.sources, err = sourcesIn(&m); err == nil {
		l.chain, err = readChain(&m)
		l.types = typesIn(&m)
	}
	return l, err
}

// addressText names an address; one of any port is like no other.
func addressText(a *corev3.Address) string {
	switch {
	case a.GetPipe() != nil:
		return "unix:" + a.GetPipe().GetPath()
	case a.GetSocketAddress() != nil:
		s := a.GetSocketAddress()
		return fmt.Sprintf("%s:%d", s.GetAddress(), s.GetPortValue())
	}
	return ""
}

// takes reports whether two listeners want one address. Which socket it is of counts,
// and whether it is bound does not, but for any port.
func (l *simListener) takes(other *simListener) bool {
	if l.udp != other.udp {
		return false
	}
	return slices.ContainsFunc(l.addresses, func(a string) bool {
		return slices.Contains(other.addresses, a) && (!strings.HasSuffix(a, ":0") || !l.bound)
	})
}

// takeListeners: removals come before additions, and each is taken or refused by itself.
func (e *Envoy) takeListeners(r *response) error {
	e.listed = true
	for _, name := range gone(r, e.listeners, e.warmingListeners) {
		e.removeListener(name)
	}
	var refused []string
	for _, one := range r.resources {
		l, err := readListener(one)
		if err == nil {
			err = e.addListener(l)
		}
		if err != nil {
			refused = append(refused, one.name+": "+err.Error())
		}
	}
	e.listenersChanged()
	if len(refused) > 0 {
		return fmt.Errorf("Error adding/updating listener(s) %s", strings.Join(refused, "\n")) //nolint:staticcheck // Envoy's own words
	}
	return nil
}

func (e *Envoy) addListener(l *simListener) error {
	before := e.warmingListeners[l.name]
	if before == nil {
		before = e.listeners[l.name]
	}
	if before != nil && before.sum == l.sum {
		return nil
	}
	if before != nil && before.shares != l.shares {
		return fmt.Errorf("listener %s: reuse port cannot be changed during an update", l.name)
	}
	// One that stays at its addresses keeps its sockets; any other must have them alone, and
	// is given those that a removed one has not closed yet.
	if before != nil && before.sameSockets(l) {
		l.bound = before.bound
	} else {
		for _, of := range []map[string]*simListener{e.warmingListeners, e.listeners} {
			for _, other := range of {
				if other.name != l.name && other.takes(l) {
					return fmt.Errorf("error adding listener: '%s' has duplicate address '%s' as existing listener", l.name, l.addresses[0])
				}
			}
		}
		if i := slices.IndexFunc(l.addresses, e.busy); i >= 0 && l.bound {
			return fmt.Errorf("cannot bind '%s': Address already in use", l.addresses[i])
		}
		for closing := range e.closing {
			if closing.sameSockets(l) {
				l.bound = closing.bound
			}
		}
	}
	if w := e.warmingListeners[l.name]; w != nil {
		e.releaseListener(w)
	}
	e.warmingListeners[l.name] = l
	for _, key := range l.sources {
		e.use(key)
		if s := e.sources[key]; s.value != nil && !l.takesType(key, s.value) {
			e.fault("listener %s answers 500: it has not the filter %s of the type that it takes", l.name, key.name)
		}
	}
	e.within(fetchTimeout, func() bool { return e.warmingListeners[l.name] == l && e.listenerWaits(l) != "" }, func() {
		e.fault("listener %s waited %s for %s", l.name, fetchTimeout, e.listenerWaits(l))
		if !slices.ContainsFunc(l.sources, func(key sourceKey) bool { return key.forever && e.missing([]sourceKey{key}) != "" }) {
			e.activateListener(l)
		}
	})
	if e.started && e.listenerWaits(l) == "" { // before the next one of the update is looked at
		e.activateListener(l)
	}
	return nil
}

func (e *Envoy) busy(address string) bool { return e.config.Busy != nil && e.config.Busy(address) }

// sameSockets is whether Envoy has a listener use the sockets of another.
func (l *simListener) sameSockets(other *simListener) bool {
	return l.udp == other.udp && slices.Equal(l.addresses, other.addresses)
}

// closingTime is how long it takes until all threads have closed a removed listener's
// sockets.
const closingTime = 50 * time.Millisecond

func (e *Envoy) removeListener(name string) {
	if l := e.warmingListeners[name]; l != nil {
		delete(e.warmingListeners, name)
		e.releaseListener(l)
	}
	if l := e.listeners[name]; l != nil {
		delete(e.listeners, name)
		e.closing[l] = true
		e.within(closingTime, func() bool { return true }, func() { delete(e.closing, l) })
		e.drain(l)
	}
}

// drain keeps what a listener named until its connections are gone.
func (e *Envoy) drain(l *simListener) {
	e.draining[l] = true
	e.within(e.config.Drain, func() bool { return true }, func() {
		delete(e.draining, l)
		e.releaseListener(l)
	})
}

func (e *Envoy) releaseListener(l *simListener) {
	for _, key := range l.sources {
		e.unuse(key)
	}
}

func (e *Envoy) listenerWaits(l *simListener) string { return e.missing(l.sources) }

// listenersChanged activates listeners that are ready: at the start of the process
// all of them at once, when all are.
func (e *Envoy) listenersChanged() {
	var ready []*simListener
	for _, name := range slices.Sorted(maps.Keys(e.warmingListeners)) {
		if l := e.warmingListeners[name]; e.listenerWaits(l) == "" {
			ready = append(ready, l)
		}
	}
	if !e.started {
		if !e.listed || len(ready) < len(e.warmingListeners) {
			return
		}
		e.started = true
	}
	for _, l := range ready {
		e.activateListener(l)
	}
}

func (e *Envoy) activateListener(l *simListener) {
	delete(e.warmingListeners, l.name)
	if before := e.listeners[l.name]; before != nil {
		e.drain(before)
	}
	e.listeners[l.name] = l
}

// sockets are where it listens.
func (e *Envoy) at(address string) *simListener {
	if !e.started {
		return nil
	}
	for _, l := range e.listeners {
		if l.bound && !l.udp && slices.Contains(l.addresses, address) && !strings.HasSuffix(address, ":0") {
			return l
		}
	}
	return nil
}
