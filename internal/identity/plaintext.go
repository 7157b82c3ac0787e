// Package identity guards the xDS port: who may connect, by which certificate, and which
// node a stream may speak for.
package identity

import (
	"fmt"
	"net"
)

// CheckPlaintext refuses to serve plain text at an address that other machines reach: there
// anyone could read every filter's configuration, and speak for any proxy. Loopback and Unix
// sockets are for this machine alone.
func CheckPlaintext(address net.Addr) error {
	if Local(address) {
		return nil
	}
	return fmt.Errorf("the xDS server: %s is reached from other machines, which plain text would let read all configuration and speak for any proxy: "+
		"give --tls-cert, --tls-key and --client-ca, or --insecure-plaintext where something else (a mesh, a tunnel) encrypts and authenticates", address)
}

// Local is whether only this machine reaches an address.
func Local(address net.Addr) bool {
	switch a := address.(type) {
	case *net.UnixAddr:
		return true
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	}
	return false
}
