package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/waxwing-xds/waxwing/internal/golden"
)

// samples are three values for each setting, none of them the default.
var samples = map[string][3]string{
	"allow-path":          {"srv/a,srv/b", "c", "d,e"},
	"max-module-bytes":    {"1", "2", "3"},
	"fleet":               {"a.yaml", "b.yaml", "c.yaml"},
	"state":               {"a", "b", "c"},
	"listen":              {"a:1", "b:2", "c:3"},
	"tls-cert":            {"a", "b", "c"},
	"tls-key":             {"a", "b", "c"},
	"client-ca":           {"a", "b", "c"},
	"spiffe-socket":       {"unix:///a", "unix:///b", "unix:///c"},
	"tls-min-version":     {"1.2", "1.2", "1.2"},
	"identity":            {`[{"dns":"*","nodes":["{1}"]}]`, `[{"uri":"spiffe://a/*","nodes":["a-*"],"fleets":["edge"]}]`, `[{"cn":"c","nodes":["c"]}]`},
	"verify":              {`{"keys":[{"file":"a.pub"}]}`, `{"keys":[{"file":"a.pub"},{"file":"b.pub"}]}`, `{"identities":[{"issuer":"a","subject":"b"}],"trusted_root":{"file":"c"}}`},
	"insecure-plaintext":  {"true", "true", "true"},
	"admin":               {"a:1", "b:2", "c:3"},
	"admin-socket":        {"a", "b", "c"},
	"admin-tls-cert":      {"a", "b", "c"},
	"admin-tls-key":       {"a", "b", "c"},
	"admin-client-ca":     {"a", "b", "c"},
	"admin-tokens":        {"a", "b", "c"},
	"admin-roles":         {`[{"dns":"*.ops","role":"operate"}]`, `[{"cn":"a","role":"view"}]`, `[{"uri":"spiffe://a/*","role":"operate"}]`},
	"admin-host":          {"a", "b", "c,d"},
	"metrics":             {"a:1", "b:2", "c:3"},
	"settle":              {"1ms", "2ms", "3ms"},
	"settle-max":          {"1s", "3s", "4s"},
	"max-streams":         {"1", "2", "3"},
	"max-client-streams":  {"1", "2", "3"},
	"max-client-requests": {"1", "2", "3"},
	"max-client-bytes":    {"1", "2", "3"},
	"max-kept-bytes":      {"1", "2", "3"},
	"max-names":           {"1", "2", "3"},
	"max-request-bytes":   {"1", "2", "3"},
	"max-unmatched":       {"1", "2", "3"},
	"push-budget-bytes":   {"1", "2", "3"},
	"keep-revisions":      {"1", "2", "3"},
	"push-timeout":        {"1s", "3s", "4s"},
	"retire-grace":        {"1s", "3s", "4s"},
	"log-level":           {"debug", "warn", "error"},
	"log-format":          {"json", "x", "y"},
	"preflight":           {"off", "off", "off"},
	"preflight-start":     {"1s", "3s", "4s"},
	"preflight-call":      {"1ms", "2ms", "3ms"},
	"preflight-memory":    {"1", "2", "3"},
}

func newFlags() *pflag.FlagSet {
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f.String("config", defaultConfig, "")
	(&settings{}).flags(f)
	return f
}

// A flag wins over the environment, that over the file, that over the default:
// for every setting there is.
func TestPrecedence(t *testing.T) {
	newFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "config" {
			return
		}
		v, ok := samples[f.Name]
		if !ok {
			t.Errorf("the test has no values for --%s", f.Name)
			return
		}
		file := filepath.Join(t.TempDir(), "xds.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, "%s: %s\n", f.Name, v[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		env := map[string]string{"XDS_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")): v[1]}
		none := map[string]string{}
		for _, c := range []struct {
			what, file string
			env        map[string]string
			args       []string
			want       string
		}{
			{"default", "absent.yaml", none, nil, f.DefValue},
			{"file", file, none, nil, v[0]},
			{"environment over file", file, env, nil, v[1]},
			{"environment over default", "absent.yaml", env, nil, v[1]},
			{"flag over all", file, env, []string{"--" + f.Name, v[2]}, v[2]},
		} {
			flags := newFlags()
			if err := flags.Parse(c.args); err != nil {
				t.Fatal(err)
			}
			if err := load(flags, c.file, func(name string) string { return c.env[name] }); err != nil {
				t.Fatalf("--%s, %s: %v", f.Name, c.what, err)
			}
			if got := flags.Lookup(f.Name).Value.String(); got != c.want {
				t.Errorf("--%s, %s: %q, want %q", f.Name, c.what, got, c.want)
			}
		}
	})
}

func TestSettingsErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "xds.yaml")
	for content, want := range map[string]string{
		"fleet: a\nflet: b\n":                        ":2: there is no setting \"flet\"",
		"config: x\n":                                ":1: there is no setting \"config\"",
		"# only\n\nsettle: soon\n":                   ":3: settle: \"soon\" is not a duration",
		"max-streams: [1]\n":                         ":1: max-streams: \"\" is not a int",
		"- fleet\n":                                  ":1: settings are lines of `name: value`",
		"fleet: [\n":                                 "line 1",
		"settle: 1ms\nsettle: 2ms\n":                 "already defined",
		"# rules\nidentity:\n- {dns: a}\n":           ":3: identity: rule 1: it has no nodes",
		"identity: [{dns: a, uri: b, nodes: [c]}]\n": ":1: identity: rule 1: it has more than one of uri, dns and cn",
		"identity: [{dns: a, node: [c]}]\n":          ":1: identity: ",
		"admin-roles: [{dns: a, role: root}]\n":      ":1: admin-roles: rule 1: role \"root\" is neither view nor operate",
		"admin-roles: [{role: view}]\n":              ":1: admin-roles: rule 1: it has none of uri, dns and cn",
		"admin-host: a:1\n":                          ":1: admin-host: \"a:1\" is not a host name",
		"\nverify: {}\n":                             ":2: verify: it names nobody who signs: keys, or identities",
		"verify: off\n":                              ":1: verify: a string does not belong here",
		"verify: [{file: a}]\n":                      ":1: verify: ",
		"verify:\n  keys: [{fil: a}]\n":              `:2: verify: unknown field "fil"`,
		"verify: {identities: [{issuer: a}]}\n":      ":1: verify: identity 1 has one of subject and subject_regexp",
		"preflight: true\n":                          ":1: preflight: \"true\" is not a on|off",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		err := load(newFlags(), file, func(string) string { return "" })
		if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
	env := func(name string) string { return map[string]string{"XDS_MAX_STREAMS": "many"}[name] }
	if err := load(newFlags(), "absent.yaml", env); err == nil || !strings.Contains(err.Error(), `XDS_MAX_STREAMS: "many" is not a int`) {
		t.Errorf("a bad variable: %v", err)
	}
	flags := newFlags()
	if err := flags.Parse([]string{"--config", "absent.yaml"}); err != nil {
		t.Fatal(err)
	}
	if err := load(flags, "absent.yaml", func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), "absent.yaml") {
		t.Errorf("a settings file that was named and is not there: %v", err)
	}
}

const root = "../../"

// The table of settings in docs/operating.md is made of the flags.
func TestSettingsAreDocumented(t *testing.T) {
	var table strings.Builder
	table.WriteString("| flag | environment | default | what |\n|---|---|---|---|\n")
	newServe := (&app{getenv: func(string) string { return "" }}).serve()
	newServe.Flags().VisitAll(func(f *pflag.Flag) {
		value := "`" + f.DefValue + "`"
		fmt.Fprintf(&table, "| `--%s` | `%s` | %s | %s |\n", f.Name, envName(f.Name), value, f.Usage)
	})
	if !strings.Contains(golden.Read(t, root+"docs/operating.md"), table.String()) {
		t.Errorf("docs/operating.md lacks this table of settings:\n%s", table.String())
	}
}

// xds.yaml shows every setting with its default and what it is for.
func TestSampleFile(t *testing.T) {
	var want strings.Builder
	(&settings{}).flags(pflag.NewFlagSet("", pflag.ContinueOnError))
	newFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" {
			fmt.Fprintf(&want, "\n# %s\n%s\n", f.Usage, strings.TrimSpace(f.Name+": "+f.DefValue))
		}
	})
	if !strings.Contains(golden.Read(t, root+"xds.yaml"), want.String()) {
		t.Errorf("xds.yaml lacks these lines:\n%s", want.String())
	}
	flags := newFlags()
	if err := load(flags, root+"xds.yaml", func(string) string { return "" }); err != nil {
		t.Error(err)
	}
}
