package snapshot

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// For returns the snapshot as one proxy is given it: its shadow listeners with an
// address of their own, and real ones at other addresses where the proxy asks for
// that. It is the same revision; all but those listeners is shared with s. What
// the same proxy was given before, if anything, is looked at for listeners that
// are as they were: to make one is more work than to push it. slot tells processes of one
// node id apart; see ShadowAddress.
func (s *Snapshot) For(node *corev3.Node, slot int, before *Snapshot) (*Snapshot, error) {
	addresses, err := fleet.ListenAddresses(node)
	if err != nil {
		return nil, err
	}
	return s.view(func(r *Resource) (*Resource, error) {
		if r.shadow {
			return s.shadowFor(r, node, slot)
		}
		if before != nil {
			if own := before.Get(resource.ListenerType, r.Name); own != nil && own.moved == r.Version {
				return own, nil
			}
		}
		return r.listening(addresses)
	})
}

// Listening returns the snapshot with real listeners at other addresses, by name.
func (s *Snapshot) Listening(addresses map[string]*corev3.Address) (*Snapshot, error) {
	return s.view(func(r *Resource) (*Resource, error) { return r.listening(addresses) })
}

func (r *Resource) listening(addresses map[string]*corev3.Address) (*Resource, error) {
	if address := addresses[r.Name]; address != nil {
		return r.at(address)
	}
	return r, nil
}

// view is the snapshot with listeners of its own, all else shared.
func (s *Snapshot) view(of func(*Resource) (*Resource, error)) (*Snapshot, error) {
	before := s.types[resource.ListenerType]
	own := before
	for i, shared := range s.All(resource.ListenerType) {
		r, err := of(shared)
		if err != nil {
			return nil, err
		}
		if r == shared {
			continue
		}
		if own == before { // most proxies have none of their own
			own = &collection{byName: maps.Clone(before.byName), sorted: slices.Clone(before.sorted)}
		}
		own.byName[r.Name], own.sorted[i] = r, r
	}
	if own == before {
		return s, nil
	}
	view := *s
	view.types = maps.Clone(s.types)
	view.types[resource.ListenerType] = own
	return &view, nil
}

// at is a listener with another address.
func (r *Resource) at(address *corev3.Address) (*Resource, error) {
	var l listenerv3.Listener
	if err := r.Wire.GetResource().UnmarshalTo(&l); err != nil {
		return nil, fmt.Errorf("reading listener %q: %w", r.Name, err)
	}
	if l.GetAddress() == nil || l.GetInternalListener() != nil {
		return r, nil // it has none that could be another
	}
	moved := proto.CloneOf(address)
	if was, now := l.GetAddress().GetSocketAddress(), moved.GetSocketAddress(); was != nil && now != nil {
		now.Protocol = was.GetProtocol() // UDP, of a QUIC listener
	}
	l.Address = moved
	own, err := newResource(resource.ListenerType, r.Name, &l)
	if err == nil {
		own.moved, own.asks, own.sockets = r.Version, r.asks, fleet.SocketsOf(&l)
	}
	return own, err
}

// addressField is that of envoy.config.listener.v3.Listener.
var addressField = (&listenerv3.Listener{}).ProtoReflect().Descriptor().Fields().ByName("address").Number()

// shadowFor is a shadow listener with its address, which is put behind the shared
// bytes: fields of a message may come in any order. The version tells it too, by what it
// depends on: the slot; of a socket the space, which is another where the state directory
// was lost; and a port by itself, since it depends on which other shadow listeners there are.
func (s *Snapshot) shadowFor(r *Resource, node *corev3.Node, slot int) (*Resource, error) {
	address, err := s.ShadowAddress(r.Name, node, slot)
	if err != nil {
		return nil, err
	}
	text, err := proto.Marshal(address)
	if err != nil {
		return nil, fmt.Errorf("the address of %s: %w", r.Name, err)
	}
	value := protowire.AppendTag(slices.Clip(r.Wire.GetResource().GetValue()), addressField, protowire.BytesType)
	value = protowire.AppendBytes(value, text)
	own := *r
	own.sockets = r.sockets.At(address)
	version := r.Version
	if socket := address.GetSocketAddress(); socket != nil {
		version += "@" + netip.AddrPortFrom(ip(socket), uint16(socket.GetPortValue())).String()
	} else {
		version += spaceMark(s.space)
	}
	own.Version = InSlot(version, slot)
	own.Wire = &discoveryv3.Resource{
		Name: r.Name, Version: own.Version,
		Resource: &anypb.Any{TypeUrl: r.typeURL(), Value: value},
	}
	return &own, nil
}

func ip(socket *corev3.SocketAddress) netip.Addr {
	addr, _ := netip.ParseAddr(socket.GetAddress()) // fleet.ShadowAddress has seen to it
	return addr
}

// PlaceIn is where a shadow listener is, if it is one with a port, of which the version
// says so.
func PlaceIn(version string) []fleet.Bind {
	_, text, _ := strings.Cut(version, "@")
	text, _ = SlotOf(text)
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return nil
	}
	return fleet.BindOf(&corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: at.Addr().String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(at.Port())},
	}}})
}

// SpacePrefix begins the spaces that versions tell. Those before it are of an older server,
// whose proxies would else have their listeners sent again by the one that follows it.
const SpacePrefix = "s1-"

// spaceMark is what a version tells of a space.
func spaceMark(space string) string {
	if !strings.HasPrefix(space, SpacePrefix) {
		return ""
	}
	h := fnv.New32a()
	h.Write([]byte(space))
	return "." + hex.EncodeToString(h.Sum(nil))
}

// InSlot is the version of something that is different for each process of a node id.
func InSlot(version string, slot int) string {
	if slot == 0 {
		return version
	}
	return version + "/" + strconv.Itoa(slot)
}

// SlotOf takes such a version apart.
func SlotOf(version string) (of string, slot int) {
	of, number, ok := strings.Cut(version, "/")
	if n, err := strconv.Atoi(number); ok && err == nil && n > 0 {
		return of, n
	}
	return version, 0
}

// slotPorts is how far apart the shadow ports of two processes of one node id are.
const slotPorts = 10

// ShadowAddress is where a proxy has a shadow listener: an abstract Unix socket,
// which takes no port and can't be reached from elsewhere, or a port of the
// loopback interface where its bootstrap says so. Of processes that share a node id, on
// purpose or while one is restarted, each has a slot, and so sockets of its own.
// https://man7.org/linux/man-pages/man7/unix.7.html
func (s *Snapshot) ShadowAddress(listener string, node *corev3.Node, slot int) (*corev3.Address, error) {
	address, err := fleet.ShadowAddress(node)
	if err != nil {
		return nil, err
	}
	if socket := address.GetSocketAddress(); socket != nil {
		i := uint32(0)
		for _, r := range s.All(resource.ListenerType) {
			if r.shadow && r.Name < listener {
				i++
			}
		}
		socket.PortSpecifier = &corev3.SocketAddress_PortValue{PortValue: socket.GetPortValue() + i + uint32(slot*slotPorts)}
		return address, nil
	}
	// Proxies of one host share the name space, so that the server and the node are
	// in it; and it is hashed, because the whole must be shorter than 108 bytes.
	h := fnv.New128a()
	h.Write([]byte(s.space + "\x00" + node.GetId() + "\x00" + InSlot(listener, slot)))
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{
		Path: "@waxwing/" + hex.EncodeToString(h.Sum(nil)),
	}}}, nil
}
