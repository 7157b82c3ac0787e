package preflight

import (
	"strings"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/module"
)

// Modules by hand: a type section with ()->() and (i32)->i32, then what the case needs.
const (
	head  = "\x00asm\x01\x00\x00\x00" + "\x01\x09\x02\x60\x00\x00\x60\x01\x7f\x01\x7f"
	funcs = "\x03\x03\x02\x00\x01"                         // one function of each type
	code  = "\x0a\x09\x02\x02\x00\x0b\x04\x00\x41\x00\x0b" // … whose bodies are empty and i32.const 0
)

// exports makes an export section of function 0 and of the last one.
func exports(abi, malloc string, last byte) string {
	body := "\x02" + string(rune(len(abi))) + abi + "\x00\x00" + string(rune(len(malloc))) + malloc + "\x00" + string(rune(last))
	return "\x07" + string(rune(len(body))) + body
}

func TestInspect(t *testing.T) {
	good := head + funcs + exports("proxy_abi_version_0_2_0", "malloc", 1) + code
	importing := func(from, name string) string { // as (i32) -> i32
		body := "\x01" + string(rune(len(from))) + from + string(rune(len(name))) + name + "\x00\x01"
		section := "\x02" + string(rune(len(body))) + body
		// The import is function 0, so that the ABI export is the import itself.
		return head + section + funcs + exports("proxy_abi_version_0_2_0", "malloc", 2) + code
	}
	for name, c := range map[string]struct{ bytes, want string }{
		"good":             {good, ""},
		"empty":            {"", "the file is empty"},
		"text":             {"hello, world", "not a WebAssembly module"},
		"random":           {"\x7f\x13\xa5\x00\x99", "not a WebAssembly module"},
		"header only":      {good[:6], "cut short"},
		"cut in a section": {good[:len(good)-3], "cut short"},
		"cut between":      {head + funcs, "cut short"},
		"component":        {"\x00asm\x0d\x00\x01\x00", "not a core module"},
		"no ABI":           {head + funcs + exports("run", "malloc", 1) + code, "no Proxy-Wasm filter"},
		"no malloc":        {head + funcs + exports("proxy_abi_version_0_2_0", "free", 1) + code, "neither malloc nor"},
		"known import":     {importing("env", "proxy_continue_stream"), ""},
		"unknown import":   {importing("env", "proxy_frobnicate"), "it imports env.proxy_frobnicate"},
		"other ABI":        {importing("env", "proxy_get_log_level"), "env.proxy_get_log_level, which Envoy does not offer (Proxy-Wasm ABI 0.2.0)"},
		"unknown module":   {importing("wasi_snapshot_preview2", "fd_write"), "wasi_snapshot_preview2.fd_write"},
	} {
		err := Inspect(t.Context(), module.New([]byte(c.bytes)))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
