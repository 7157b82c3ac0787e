package xds

import (
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
	"github.com/waxwing-xds/waxwing/internal/quota"
)

// What is kept of what a stream says, for as long as it is open, is counted with its client: what
// it says of its node, of which only what somebody reads is kept, and what it asks for by name.

const (
	// maxNode is how much of a node is kept, in bytes as they are counted here.
	maxNode = 64 << 10
	// fieldCost and nameCost are what a field of a node, and a name that is asked for, take beside
	// their text: places in maps, above all.
	fieldCost, nameCost = 250, 250
)

// keeping is what is kept of a stream, in bytes.
type keeping struct {
	client *quota.Client
	kept   int
	names  int
}

func (k *keeping) add(bytes int) error {
	if err := k.client.Keep(bytes); err != nil {
		return err
	}
	k.kept += bytes
	return nil
}

// nothing is kept any more.
func (k *keeping) nothing() {
	_ = k.client.Keep(-k.kept) // less is never refused
	k.kept, k.names = 0, 0
}

// node keeps what is read of a node, and drops the rest.
func (k *keeping) node(node *corev3.Node) error {
	slim(node)
	size := sizeOf(node)
	if size > maxNode {
		return k.client.Refuse(quota.NodeSize, "what the node says of itself is too much: its id, cluster, locality, version, labels, listen and waxwing take %d bytes, and at most %d are kept", size, maxNode)
	}
	return k.add(size)
}

// asks counts what a stream asks for by name of a type, when that has changed.
func (s *session) asks(st *typeState) error {
	names, bytes := 0, len(st.resume)
	for name := range st.sub.SubscribedResources() {
		names++
		bytes += len(name) + nameCost
	}
	for name, version := range st.claims {
		names++
		bytes += len(name) + len(version) + nameCost
	}
	if err := s.mayAsk(s.holds.names - st.names + names); err != nil {
		return err
	}
	s.holds.client.Work(names / namesOfARequest)
	if err := s.holds.add(bytes - st.kept); err != nil {
		return err
	}
	s.holds.names += names - st.names
	st.names, st.kept = names, bytes
	return nil
}

// namesOfARequest is how many names take as long to look at as a request.
const namesOfARequest = 500

// mayAsk refuses what is too many names.
func (s *session) mayAsk(names int) error {
	if l := s.server.limits.MaxNames; l > 0 && names > l {
		return s.holds.client.Refuse(quota.Names, "a stream asks for at most %d resources by name", l)
	}
	return nil
}

// slim drops what is not read of a node: of what an Envoy says its hundreds of extensions, some
// 50 KB, and whatever else a client says.
func slim(node *corev3.Node) {
	metadata := map[string]*structpb.Value{}
	for _, key := range []string{fleet.LabelsKey, fleet.ListenKey} {
		if fields := node.GetMetadata().GetFields()[key].GetStructValue().GetFields(); fields != nil {
			metadata[key] = scalars(fields)
		}
	}
	if own := node.GetMetadata().GetFields()[fleet.WaxwingKey].GetStructValue().GetFields(); own != nil {
		metadata[fleet.WaxwingKey] = scalars(own)
	}
	l := node.GetLocality()
	kept := &corev3.Node{Id: node.GetId(), Cluster: node.GetCluster(), UserAgentName: node.GetUserAgentName()}
	if l != nil {
		kept.Locality = &corev3.Locality{Region: l.GetRegion(), Zone: l.GetZone(), SubZone: l.GetSubZone()}
	}
	if v := node.GetUserAgentBuildVersion().GetVersion(); v != nil {
		kept.UserAgentVersionType = &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{
			Version: &typev3.SemanticVersion{MajorNumber: v.GetMajorNumber(), MinorNumber: v.GetMinorNumber(), Patch: v.GetPatch()},
		}}
	} else if v := node.GetUserAgentVersion(); v != "" {
		kept.UserAgentVersionType = &corev3.Node_UserAgentVersion{UserAgentVersion: v}
	}
	if len(metadata) > 0 {
		kept.Metadata = &structpb.Struct{Fields: metadata}
	}
	node.Reset()
	node.Id, node.Cluster, node.Locality, node.Metadata = kept.GetId(), kept.GetCluster(), kept.GetLocality(), kept.GetMetadata()
	node.UserAgentName, node.UserAgentVersionType = kept.GetUserAgentName(), kept.GetUserAgentVersionType()
}

// scalars are fields with what nobody reads in them left out: structures, and lists of anything
// but text.
func scalars(fields map[string]*structpb.Value) *structpb.Value {
	out := make(map[string]*structpb.Value, len(fields))
	for key, value := range fields {
		out[key] = scalar(value)
	}
	return structpb.NewStructValue(&structpb.Struct{Fields: out})
}

func scalar(value *structpb.Value) *structpb.Value {
	switch v := value.GetKind().(type) {
	case *structpb.Value_StringValue:
		return structpb.NewStringValue(v.StringValue)
	case *structpb.Value_NumberValue:
		return structpb.NewNumberValue(v.NumberValue)
	case *structpb.Value_BoolValue:
		return structpb.NewBoolValue(v.BoolValue)
	case *structpb.Value_ListValue:
		list := &structpb.ListValue{}
		for _, one := range v.ListValue.GetValues() {
			if text, ok := one.GetKind().(*structpb.Value_StringValue); ok {
				list.Values = append(list.Values, structpb.NewStringValue(text.StringValue))
			}
		}
		return structpb.NewListValue(list)
	}
	return structpb.NewNullValue()
}

// sizeOf is what a node takes that was slimmed, in bytes.
func sizeOf(node *corev3.Node) int {
	l := node.GetLocality()
	n := 4*fieldCost + len(node.GetId()) + len(node.GetCluster()) + len(node.GetUserAgentName()) + len(node.GetUserAgentVersion()) +
		len(l.GetRegion()) + len(l.GetZone()) + len(l.GetSubZone())
	for _, group := range node.GetMetadata().GetFields() {
		for key, value := range group.GetStructValue().GetFields() {
			n += fieldCost + len(key) + len(value.GetStringValue())
			for _, one := range value.GetListValue().GetValues() {
				n += fieldCost + len(one.GetStringValue())
			}
		}
	}
	return n
}
