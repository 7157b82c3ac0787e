package fleet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"go.yaml.in/yaml/v3"
)

// A ConfigFrom is where a filter's configuration is that is a secret, and so not in the fleet
// file: a file, or a variable of the server's environment.
type ConfigFrom struct {
	File string // its path, resolved against the fleet file's folder
	Env  string
	Line int // of the fleet file; 0: the configuration is no secret
}

// Secret reports whether a filter's configuration is one: nobody is shown it.
func (f Filter) Secret() bool { return f.ConfigFrom.Line != 0 }

// maxConfig is how large such a file may be, in bytes.
const maxConfig = 1 << 20

// Read reads it. Its error has nothing of the content.
func (c ConfigFrom) Read(file func(path string) ([]byte, error), env func(string) (string, bool)) ([]byte, error) {
	if c.Env != "" {
		value, ok := env(c.Env)
		if !ok {
			return nil, fmt.Errorf("config_from: the environment of xds has no %s", c.Env)
		}
		return []byte(value), nil
	}
	data, err := file(c.File)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("config_from: %s does not exist", c.File)
	case err != nil:
		return nil, fmt.Errorf("config_from: %s can't be read: %w", c.File, err)
	case len(data) > maxConfig:
		return nil, fmt.Errorf("config_from: %s has more than %d bytes", c.File, maxConfig)
	}
	return data, nil
}

// configFrom reads where a configuration is.
func (p *parser) configFrom(doc *filterDocument, plugin *wasmv3.PluginConfig) ConfigFrom {
	n := resolve(&doc.ConfigFrom)
	if n.IsZero() {
		return ConfigFrom{}
	}
	c := ConfigFrom{Line: n.Line}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
		p.add(n.Line, "config_from: it is {file: PATH} or {env: NAME}")
		return c
	}
	switch key, value := n.Content[0], resolve(n.Content[1]); {
	case !slices.Contains([]string{"file", "env"}, key.Value):
		p.add(key.Line, "config_from: unknown field %q, none of file, env", key.Value)
	case value.Kind != yaml.ScalarNode || value.Value == "":
		p.add(key.Line, "config_from: %s: it has no name", key.Value)
	case key.Value == "env":
		c.Env = value.Value
	default:
		c.File = p.configFile(value)
	}
	if plugin.Configuration != nil {
		p.add(n.Line, "config_from: there is config or plugin.configuration already: give one of them")
	}
	return c
}

func (p *parser) configFile(n *yaml.Node) string {
	path, folder := filepath.FromSlash(n.Value), filepath.Dir(p.file)
	if !filepath.IsAbs(path) {
		path = filepath.Join(folder, path)
	}
	if ext := filepath.Ext(path); (ext == ".yaml" || ext == ".yml") && filepath.Dir(path) == filepath.Clean(folder) {
		p.add(n.Line, "config_from: %s would be taken for a fleet file: give it another ending, or a folder of its own", n.Value)
	}
	return path
}

// Configured is the fleet with the configurations that are secrets. read reads one; its error
// comes back at its line.
func (f *Fleet) Configured(read func(ConfigFrom) ([]byte, error)) (*Fleet, error) {
	out := *f
	out.Filters = slices.Clone(f.Filters)
	var wrong []error
	for i, filter := range out.Filters {
		if !filter.Secret() {
			continue
		}
		text, err := read(filter.ConfigFrom)
		if err == nil {
			out.Filters[i].Plugin, err = configured(filter.Plugin, text)
		}
		if err != nil {
			wrong = append(wrong, &Error{File: f.File, Line: filter.ConfigFrom.Line, Msg: fmt.Sprintf("filter %q: %v", filter.Name, err)})
		}
	}
	return &out, errors.Join(wrong...)
}

// configured has a text be the configuration, as it is.
func configured(plugin *wasmv3.PluginConfig, text []byte) (*wasmv3.PluginConfig, error) {
	var value proto.Message = wrapperspb.Bytes(text)
	if utf8.Valid(text) {
		value = wrapperspb.String(string(text))
	}
	packed, err := anypb.New(value)
	if err != nil {
		return nil, errors.New("config_from: it can't be packed")
	}
	plugin = proto.CloneOf(plugin)
	plugin.Configuration = packed
	return plugin, nil
}
