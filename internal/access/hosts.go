// Package access decides who may ask the admin API, and for what.
package access

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Names are host names by which the admin API may be asked, besides loopback's own.
type Names []string

// String implements pflag.Value.
func (n *Names) String() string { return strings.Join(*n, ",") }

// Type implements pflag.Value.
func (n *Names) Type() string { return "names" }

// Set implements pflag.Value.
func (n *Names) Set(text string) error {
	*n = nil
	for name := range strings.SplitSeq(text, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" && text == "" {
			return nil
		}
		if name == "" || strings.ContainsAny(name, "*/@ ") || strings.Contains(name, ":") && !isAddress(name) {
			return fmt.Errorf("%q is not a host name or an address, without a port", name)
		}
		*n = append(*n, name)
	}
	return nil
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// answersTo is whether a request with that Host is meant for this server. A page in somebody's
// browser can have its own name lead to this address (DNS rebinding), and what it asks then is
// of one origin with it: its name tells.
func (n Names) answersTo(host string) bool {
	name, ok := hostName(host)
	if !ok {
		return false
	}
	if slices.Contains(n, name) {
		return true
	}
	if address, err := netip.ParseAddr(name); err == nil {
		return address.Zone() == "" && address.IsLoopback()
	}
	return name == "localhost"
}

// hostName is the name or address of a Host header, without its port and in small letters.
func hostName(host string) (name string, ok bool) {
	name = strings.ToLower(host)
	if n, port, err := net.SplitHostPort(name); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return "", false
		}
		name = n
	} else if inner, is := strings.CutPrefix(name, "["); is {
		if name, is = strings.CutSuffix(inner, "]"); !is {
			return "", false
		}
	}
	bracketed := strings.HasPrefix(host, "[")
	if bracketed != strings.Contains(name, ":") { // brackets are for IPv6 addresses alone
		return "", false
	}
	return name, name != ""
}
