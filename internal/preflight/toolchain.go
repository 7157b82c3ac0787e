package preflight

import (
	"bytes"
	"errors"
	"strings"

	"github.com/tetratelabs/wazero"
)

// What builds a filter, for who has built it otherwise.
const (
	goSDK     = "github.com/proxy-wasm/proxy-wasm-go-sdk"
	goVersion = "v0.0.0-20250212164326-ab4161dcf924" // it has no releases
	buildGo   = "GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o filter.wasm"
	buildRust = "cargo build --release --lib --target wasm32-unknown-unknown"

	// archivedSDK is for TinyGo: what it marks by //export, plain Go does not export.
	archivedSDK = "github.com/tetratelabs/proxy-wasm-go-sdk"
)

// misbuilt says of a module what its author did otherwise than it takes, and which command
// does it; nil where nothing is known.
func misbuilt(code []byte, m wazero.CompiledModule) error {
	exported, speaks := m.ExportedFunctions(), false
	for name := range exported {
		speaks = speaks || strings.HasPrefix(name, "proxy_abi_version_")
	}
	command := exported["_start"] != nil && exported["_initialize"] == nil
	switch by := producers(code); {
	case strings.Contains(by, "Go cmd/compile"):
		return misbuiltGo(code, command, exported["run"] != nil && exported["resume"] != nil, speaks)
	case speaks || !strings.Contains(by, "rustc") && !bytes.Contains(code, []byte("library/std/src/")):
		return nil
	case command:
		return errors.New(`it is a Rust program, and no Proxy-Wasm filter (it exports _start, and no proxy_abi_version_…): make the crate a library, [lib] crate-type = ["cdylib"], and build that: ` + buildRust)
	}
	return errors.New(`no Proxy-Wasm filter: it exports none of proxy_abi_version_0_1_0, _0_2_0 and _0_2_1. With the crate proxy-wasm, proxy_wasm::main! exports it; else: #[no_mangle] extern "C" fn proxy_abi_version_0_2_1() {}. Then: ` + buildRust)
}

// misbuiltGo is of what plain Go has compiled. A program that Go calls a command ends when its
// main does, and the proxy's first call with it; c-shared is what Go calls a reactor.
func misbuiltGo(code []byte, command, browser, speaks bool) error {
	switch {
	case bytes.Contains(code, []byte(archivedSDK)) && !speaks:
		return errors.New("it is made with " + archivedSDK + ", which is archived and for TinyGo: plain Go exports none of its callbacks. Take the SDK for Go: " +
			"go get " + goSDK + "@" + goVersion + ", import that instead (the packages have the same names), set the VM context in init() and leave main() empty. Then: " + buildGo)
	case browser:
		return errors.New("it is built for a browser (GOOS=js). Build it for a proxy: " + buildGo)
	case command && (speaks || bytes.Contains(code, []byte(goSDK))):
		return errors.New("it is a command, which ends when its main() does (it exports _start, and no _initialize): -buildmode=c-shared was forgotten. Build it so: " + buildGo)
	case !speaks:
		return errors.New("no Proxy-Wasm filter: it is built by Go without a Proxy-Wasm SDK, and exports no proxy_abi_version_…. " +
			"Take one: go get " + goSDK + "@" + goVersion + ". Then: " + buildGo + " (`xds new go NAME` writes a filter to begin with)")
	}
	return nil
}

// producers is the text of the section in which compilers name themselves, "" where there is none.
// https://github.com/WebAssembly/tool-conventions/blob/main/ProducersSection.md
func producers(module []byte) string {
	for rest := (&reader{b: module[8:]}); len(rest.b) > 0 && !rest.bad; {
		id := rest.byte()
		section := &reader{b: rest.bytes(rest.number())}
		if rest.bad || id != sectionCustom {
			continue
		}
		if name := section.bytes(section.number()); !section.bad && string(name) == "producers" {
			return string(section.b)
		}
	}
	return ""
}
