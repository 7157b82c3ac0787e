package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// standIns are files to have instead of those that a configuration names and that are
// not on this machine: that they are missing says nothing about the configuration.
type standIns struct {
	dir, certificate, key, wasm, text string
}

func makeStandIns(dir string) (standIns, error) {
	s := standIns{
		dir: dir, certificate: filepath.Join(dir, "certificate.pem"), key: filepath.Join(dir, "key.pem"),
		wasm: filepath.Join(dir, "module.wasm"), text: filepath.Join(dir, "empty.txt"),
	}
	c, err := rig.NewCertificate(1)
	if err != nil {
		return s, err
	}
	for path, data := range map[string]string{s.certificate: c.Chain, s.key: c.Key, s.wasm: module, s.text: "\n"} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			return s, fmt.Errorf("making a stand-in: %w", err)
		}
	}
	return s, nil
}

// module is the smallest that Envoy starts: it has a memory, says by which ABI it is to
// be spoken to, and gives out memory when asked.
const module = "\x00asm\x01\x00\x00\x00" +
	"\x01\x09\x02\x60\x00\x00\x60\x01\x7f\x01\x7f" + // types: () and (i32) i32
	"\x03\x03\x02\x00\x01" + // two functions, one of each
	"\x05\x03\x01\x00\x01" + // a memory of one page
	"\x07\x3f\x03" + "\x06memory\x02\x00" + "\x17proxy_abi_version_0_2_0\x00\x00" + "\x18proxy_on_memory_allocate\x00\x01" +
	"\x0a\x09\x02\x02\x00\x0b\x04\x00\x41\x10\x0b"
