package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"github.com/waxwing-xds/waxwing/internal/access"
	"github.com/waxwing-xds/waxwing/internal/confine"
	"github.com/waxwing-xds/waxwing/internal/control"
	"github.com/waxwing-xds/waxwing/internal/identity"
	"github.com/waxwing-xds/waxwing/internal/preflight"
	"github.com/waxwing-xds/waxwing/internal/rollout"
)

// settings is how the server runs. Each can be given as a flag, as XDS_… in the
// environment or in xds.yaml, in that order of precedence.
type settings struct {
	Fleet             string
	AllowPath         paths
	MaxModuleBytes    int64
	Verify            verifying
	State             string
	Listen            string
	InsecurePlaintext bool
	TLS               identity.Files
	SPIFFESocket      string
	TLSMinVersion     string
	Identity          identity.Rules
	Admin             string
	AdminSocket       string
	AdminHosts        access.Names
	AdminTLS          identity.Files
	AdminTokens       string
	AdminRoles        identity.Roles
	Metrics           string
	Settle            time.Duration
	SettleMax         time.Duration
	MaxStreams        int
	MaxClientStreams  int
	MaxClientRequests int
	MaxClientBytes    int
	MaxKeptBytes      int
	MaxNames          int
	MaxRequestBytes   int
	MaxUnmatched      int
	PushBudgetBytes   int
	PushTimeout       time.Duration
	RetireGrace       time.Duration
	KeepRevisions     int
	LogLevel          string
	LogFormat         string
	Preflight         toggle
	Limits            preflight.Limits
}

const (
	defaultConfig = "xds.yaml"
	defaultListen = "127.0.0.1:17000"
	defaultAdmin  = "127.0.0.1:17001"
)

// flags declares every setting; the table in docs/operating.md is these lines.
func (s *settings) flags(f *pflag.FlagSet) {
	f.StringVar(&s.Fleet, "fleet", "fleet.yaml", "fleet file, or a folder of them (*.yaml, *.yml)")
	f.Var(&s.AllowPath, "allow-path", "folders whose files fleet files may name (modules, bodies of checks), below them too; none: the folder of the fleet file")
	f.Int64Var(&s.MaxModuleBytes, "max-module-bytes", confine.DefaultMaxBytes, "size of the largest module that is read, in bytes")
	f.Var(&s.Verify, "verify", "what modules of all fleets must be signed by, besides what their files say: keys, or identities with a trusted_root")
	f.StringVar(&s.State, "state", ".waxwing", "folder for what must survive a restart")
	f.StringVar(&s.Listen, "listen", defaultListen, "address of the xDS server (gRPC) for the proxies: HOST:PORT, or unix:PATH")
	f.StringVar(&s.TLS.Cert, "tls-cert", "", "certificate of the xDS server, PEM file; with tls-key and client-ca it speaks mutual TLS")
	f.StringVar(&s.TLS.Key, "tls-key", "", "its key, PEM file")
	f.StringVar(&s.TLS.ClientCA, "client-ca", "", "authorities of the proxies' certificates, PEM file")
	f.StringVar(&s.SPIFFESocket, "spiffe-socket", "", "address of the SPIFFE Workload API, unix:///PATH, for certificate, key and authorities in place of files")
	f.StringVar(&s.TLSMinVersion, "tls-min-version", "1.3", "TLS version that proxies must speak at least: 1.3 or 1.2")
	f.Var(&s.Identity, "identity", "which certificate may claim which node ids and fleets; none: a node id that is a DNS name of it, or the end of its SPIFFE id")
	f.BoolVar(&s.InsecurePlaintext, "insecure-plaintext", false, "serve plain text on an address that other machines reach, since something else (a mesh, a tunnel) encrypts and authenticates")
	f.StringVar(&s.Admin, "admin", defaultAdmin, "address of the admin API (HTTP), for browsers and scripts; keep it local. HOST:PORT, or none")
	f.StringVar(&s.AdminSocket, "admin-socket", "", "Unix socket of the admin API, for this user alone: a path, or none; by default admin.sock in the state directory")
	f.Var(&s.AdminHosts, "admin-host", "names by which the admin API may be asked by TCP, besides localhost and loopback addresses; separated by commas")
	f.StringVar(&s.AdminTLS.Cert, "admin-tls-cert", "", "certificate of the admin API's TCP address, PEM file; with admin-tls-key it speaks TLS")
	f.StringVar(&s.AdminTLS.Key, "admin-tls-key", "", "its key, PEM file")
	f.StringVar(&s.AdminTLS.ClientCA, "admin-client-ca", "", "authorities of its clients' certificates, PEM file: who has one is known by it")
	f.StringVar(&s.AdminTokens, "admin-tokens", "", "file of bearer tokens of the admin API, hashed, as xds token prints its lines")
	f.Var(&s.AdminRoles, "admin-roles", "which client certificate may view, and which operate; none: all may view")
	f.StringVar(&s.Metrics, "metrics", none, "address of its own for /metrics, /healthz and /readyz, for anyone who reaches it: HOST:PORT, unix:PATH, or none")
	f.DurationVar(&s.Settle, "settle", 50*time.Millisecond, "how long a changed file must be left alone before it is taken")
	f.DurationVar(&s.SettleMax, "settle-max", 2*time.Second, "how long after its first change a file is taken all the same")
	f.IntVar(&s.MaxStreams, "max-streams", 20000, "proxies' streams open at once, more are refused; 0: no limit")
	f.IntVar(&s.MaxClientStreams, "max-client-streams", 15000, "streams of each kind, and connections, that one client has open at once (a certificate or, in plain text, an address); 0: no limit")
	f.IntVar(&s.MaxClientRequests, "max-client-requests", 60000, "requests and reports a second read of one client, 4 KiB counted as one; the rest is read later; 0: no limit")
	f.IntVar(&s.MaxClientBytes, "max-client-bytes", 3<<28, "bytes kept of what one client says of its nodes and asks for by name, more ends its stream; 0: no limit")
	f.IntVar(&s.MaxKeptBytes, "max-kept-bytes", 1<<30, "bytes kept of what all clients say of their nodes and ask for by name; 0: no limit")
	f.IntVar(&s.MaxNames, "max-names", 50000, "resources that one stream asks for by name, more end it; 0: no limit")
	f.IntVar(&s.MaxRequestBytes, "max-request-bytes", 4<<20, "size of one request from a proxy, in bytes")
	f.IntVar(&s.MaxUnmatched, "max-unmatched", 1000, "proxies held that no fleet matches, the streams of more are ended; 0: no limit")
	f.IntVar(&s.PushBudgetBytes, "push-budget-bytes", 1<<30, "bytes of modules sent and not yet answered, more wait their turn; 0: no limit")
	f.DurationVar(&s.PushTimeout, "push-timeout", 2*time.Minute, "how long a proxy may take to answer a module before its stream is ended; 0: no limit")
	f.IntVar(&s.KeepRevisions, "keep-revisions", rollout.DefaultKeep, "revisions of a fleet that were served and are kept for xds rollout undo --to")
	f.DurationVar(&s.RetireGrace, "retire-grace", control.DefaultGrace, "how long the file of a fleet may be gone before the fleet is retired: it takes no more proxies then")
	f.StringVar(&s.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.LogFormat, "log-format", "text", "text or json")
	s.Preflight = true
	f.Var(&s.Preflight, "preflight", "on: filters are tried in a sandbox before a proxy gets them; off: their modules are only looked at")
	s.limits(f)
}

// limits declares those of the sandbox.
func (s *settings) limits(f *pflag.FlagSet) {
	d := preflight.DefaultLimits
	f.DurationVar(&s.Limits.Start, "preflight-start", d.Start, "CPU time a filter may take in the sandbox to start and be configured")
	f.DurationVar(&s.Limits.Call, "preflight-call", d.Call, "CPU time each call of a filter may take in the sandbox")
	f.Int64Var(&s.Limits.Memory, "preflight-memory", d.Memory, "memory a filter may have in the sandbox, in bytes")
}

// toggle is a setting that is on or off.
type toggle bool

func (t *toggle) String() string {
	if *t {
		return "on"
	}
	return "off"
}

// Set implements pflag.Value.
func (t *toggle) Set(text string) error {
	if text != "on" && text != "off" {
		return fmt.Errorf("%q is neither on nor off", text)
	}
	*t = text == "on"
	return nil
}

// Type implements pflag.Value.
func (t *toggle) Type() string { return "on|off" }

// load fills in the flags that were not given from the environment and the file.
// path is that of --config; the default file may be absent.
func load(flags *pflag.FlagSet, path string, getenv func(string) string) error {
	v := viper.New()
	v.SetConfigFile(path)
	v.SetConfigType("yaml")
	switch err := checkFile(path, flags); {
	case errors.Is(err, fs.ErrNotExist) && !flags.Changed("config") && getenv(envName("config")) == "":
	case err != nil:
		return err
	default:
		if err := v.ReadInConfig(); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "config" || f.Name == "help" || err != nil {
			return
		}
		source := path + ": " + f.Name
		if value := getenv(envName(f.Name)); value != "" {
			v.Set(f.Name, value)
			source = envName(f.Name)
		}
		if v.IsSet(f.Name) {
			text := v.GetString(f.Name)
			switch value := v.Get(f.Name).(type) {
			case []any, map[string]any:
				text = asYAML(value)
			}
			if e := f.Value.Set(text); e != nil {
				err = fmt.Errorf("%s: %w", source, unreadable(f, text, e))
			}
			if rule, ok := f.Value.(*verifying); ok {
				rule.from(strings.TrimSuffix(source, ": "+f.Name))
			}
		}
	})
	return err
}

// unreadable says what is wrong with a setting's value.
func unreadable(f *pflag.Flag, text string, err error) error {
	switch f.Value.(type) {
	case *access.Names, *verifying:
		return err
	}
	if isList(f) {
		return err
	}
	return fmt.Errorf("%q is not a %s", text, f.Value.Type())
}

// isList is whether a setting is a list of rules.
func isList(f *pflag.Flag) bool {
	kind := f.Value.Type()
	return kind == new(identity.Rules).Type() || kind == new(identity.Roles).Type()
}

// asYAML is what a file has, as text again.
func asYAML(value any) string {
	text, err := yaml.Marshal(value)
	if err != nil { // it was read from YAML
		panic(err)
	}
	return string(text)
}

// envName is the variable of a setting: XDS_LOG_LEVEL for --log-level.
func envName(flag string) string {
	return "XDS_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// checkFile refuses what is wrong in a settings file, with its line: viper
// itself ignores keys it does not know, and takes an unreadable number for 0.
func checkFile(path string, flags *pflag.FlagSet) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	var file yaml.Node
	if err := yaml.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(file.Content) == 0 { // empty, or only comments
		return nil
	}
	if file.Content[0].Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: settings are lines of `name: value`", path, file.Content[0].Line)
	}
	scratch := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&settings{}).flags(scratch)
	pairs := file.Content[0].Content
	for i := 0; i+1 < len(pairs); i += 2 {
		key, value := pairs[i], pairs[i+1]
		f := scratch.Lookup(key.Value)
		if f == nil || flags.Lookup(key.Value) == nil {
			return fmt.Errorf("%s:%d: there is no setting %q", path, key.Line, key.Value)
		}
		text, kind := value.Value, yaml.ScalarNode
		if value.Kind == yaml.SequenceNode && f.Value.Type() == new(paths).Type() || isList(f) {
			text, kind = asYAML(value), yaml.SequenceNode
		}
		if value.Kind == yaml.MappingNode && f.Value.Type() == new(verifying).Type() {
			text, kind = asYAML(value), yaml.MappingNode
		}
		if err := f.Value.Set(text); err != nil || value.Kind != kind {
			return fmt.Errorf("%s:%d: %s: %w", path, value.Line, key.Value, unreadable(f, text, err))
		}
	}
	return nil
}
