package identity

import (
	"net"
	"strings"
	"testing"
)

func TestCheckPlaintext(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:17000": true, "127.9.8.7:1": true, "[::1]:17000": true, "[::ffff:127.0.0.1]:1": true,
		":17000": false, "0.0.0.0:17000": false, "[::]:17000": false, "10.0.0.1:17000": false,
		"192.168.1.1:1": false, "[fe80::1%lo]:1": false, "[::ffff:10.0.0.1]:1": false, "169.254.1.1:1": false,
	} {
		tcp, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		switch err := CheckPlaintext(tcp); {
		case ok && err != nil:
			t.Errorf("%s: %v", address, err)
		case !ok && err == nil:
			t.Errorf("%s is served in plain text", address)
		case !ok && (!strings.Contains(err.Error(), "--tls-cert, --tls-key and --client-ca, or --insecure-plaintext") || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: %v: not one line that says which flags to give", address, err)
		}
	}
	if err := CheckPlaintext(&net.UnixAddr{Name: "/run/xds.sock", Net: "unix"}); err != nil {
		t.Error(err)
	}
}
