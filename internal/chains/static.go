package chains

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Static writes a fleet as the bootstrap of an Envoy that asks nobody: what would be
// discovered stands where it is used. `envoy --mode validate` says whether it is valid. Listeners
// for clients of gRPC are left out: a bootstrap has none.
func (f Fleet) Static(s Setting) ([]byte, error) {
	f = f.Clone()
	for i := range f.Filters {
		f.Filters[i].Discovered = true // else the server puts them in
	}
	for i := range f.Clusters {
		f.Clusters[i].Injects = "" // by a secret of a cluster's filter Envoy 1.40 ends when it only validates
	}
	text, err := f.Render(s)
	if err != nil {
		return nil, err
	}
	var doc object
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("a fleet: %w", err)
	}
	in := inliner{fleet: &f, setting: s, found: map[string]map[string]object{}}
	resources := doc["resources"].(object)
	for _, kind := range []string{"routes", "endpoints", "extension_configs", "virtual_hosts"} {
		in.index(kind, resources[kind])
	}
	var listeners list
	for _, l := range resources["listeners"].(list) {
		if l.(object)["api_listener"] == nil {
			listeners = append(listeners, in.inline(l))
		}
	}
	out, err := yaml.Marshal(object{
		"static_resources":     object{"listeners": listeners, "clusters": in.inline(resources["clusters"]), "secrets": resources["secrets"]},
		"bootstrap_extensions": list{typed("envoy.bootstrap.internal_listener", "bootstrap.internal_listener.v3.InternalListener", nil)},
	})
	if err != nil {
		return nil, fmt.Errorf("rendering a bootstrap: %w", err)
	}
	return out, nil
}

// An inliner puts what is discovered where it is asked for.
type inliner struct {
	fleet   *Fleet
	setting Setting
	found   map[string]map[string]object // resources, by section and name
}

func (in inliner) index(section string, resources any) {
	in.found[section] = map[string]object{}
	all, _ := resources.(list)
	for _, r := range all {
		name, ok := r.(object)["name"]
		if !ok {
			name = r.(object)["cluster_name"]
		}
		in.found[section][name.(string)] = r.(object)
	}
}

// inline is a part of a resource with nothing left to discover.
func (in inliner) inline(part any) any {
	switch part := part.(type) {
	case list:
		out := list{}
		for _, one := range part {
			out = append(out, in.inline(one))
		}
		return out
	case object:
		out := object{}
		for key, value := range part {
			in.put(out, part, key, value)
		}
		return out
	}
	return part
}

func (in inliner) put(out, part object, key string, value any) {
	switch key {
	case "rds":
		out["route_config"] = in.routes(value.(object)["route_config_name"].(string))
	case "scoped_routes":
		out[key] = in.scopes(value.(object))
	case "config_discovery":
		out["typed_config"] = in.extension(part["name"].(string))
	case "sds_config": // a secret of the bootstrap has no source
	case "eds_cluster_config":
		name := part["name"].(string)
		if service, ok := value.(object)["service_name"]; ok {
			name = service.(string)
		}
		out["type"], out["load_assignment"] = Static, in.found["endpoints"][name]
	case "type":
		if part["eds_cluster_config"] == nil {
			out[key] = value
		}
	default:
		out[key] = in.inline(value)
	}
}

func (in inliner) routes(name string) object {
	out := object{}
	for key, value := range in.found["routes"][name] {
		out[key] = value
	}
	if r := in.fleet.routesNamed(name); r.Host != "" {
		delete(out, "vhds")
		out["virtual_hosts"] = list{in.found["virtual_hosts"][name+"/"+r.Host]}
	}
	return out
}

func (in inliner) scopes(scoped object) object {
	var all list
	for _, s := range in.fleet.Scopes {
		one := s.render()
		delete(one, "route_configuration_name")
		one["route_configuration"] = in.routes(s.Routes)
		all = append(all, one)
	}
	return object{
		"name": scoped["name"], "scope_key_builder": scoped["scope_key_builder"],
		"scoped_route_configurations_list": object{"scoped_route_configurations": all},
	}
}

// extension is the configuration of a filter: Envoy's own, or a module's.
func (in inliner) extension(name string) any {
	if found := in.found["extension_configs"][name]; found != nil {
		return found["typed_config"]
	}
	filter := *find(in.fleet.Filters, func(f *Filter) bool { return f.Name == name })
	config := object{
		"name": name, "configuration": object{"@type": "type.googleapis.com/google.protobuf.StringValue", "value": filter.Header() + "=" + fmt.Sprint(filter.Value)},
		"vm_config": object{
			"vm_id": name, "runtime": "envoy.wasm.runtime.v8", "code": object{"local": object{"filename": in.setting.Modules[filter.Module]}},
		},
	}
	if filter.Policy != "" {
		config["failure_policy"] = filter.Policy
	}
	return typed("", "filters.http.wasm.v3.Wasm", object{"config": config})["typed_config"]
}
