package api

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

// socketPrefix begins the address of a Unix domain socket.
const socketPrefix = "unix:"

func isSocket(address string) bool { return strings.HasPrefix(address, socketPrefix) }

// places are where a server may be.
type places []string

// dial connects to the first where somebody listens. It is so for each connection: a server
// that is started again may be elsewhere.
func (p places) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var failed nowhere
	for _, address := range p {
		network := "tcp"
		if isSocket(address) {
			network, address = "unix", strings.TrimPrefix(address, socketPrefix)
		}
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			return c, nil
		}
		failed = append(failed, err)
	}
	return nil, failed
}

// secure connects in the same way, and by TLS where that is no socket. It is handed the name that
// the certificate is to have.
func (p places) secure(config *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	if config == nil {
		return nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := p.dial(ctx, network, address)
		if _, socket := c.(*net.UnixConn); err != nil || socket {
			return c, err
		}
		own := config.Clone()
		if own.ServerName == "" {
			own.ServerName, _, _ = net.SplitHostPort(address)
		}
		encrypted := tls.Client(c, own)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return encrypted, nil
	}
}

// onLoopback is whether an address is of this machine alone.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// errExposed is that a token would be read by others.
var errExposed = errors.New("a token is not sent in plain text to another machine: it takes TLS (xds: --admin-ca)")

// nowhere is why nobody was reached, place by place, in one line.
type nowhere []error

func (n nowhere) Error() string {
	var all []string
	for _, err := range n {
		all = append(all, err.Error())
	}
	return strings.Join(all, "; ")
}

// Unwrap gives them all.
func (n nowhere) Unwrap() []error { return n }
