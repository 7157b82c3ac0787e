package bootstrap

import (
	"fmt"
	"path/filepath"
	"strings"
)

// SecretFiles are the files of a folder of certificates by which an Envoy takes what is in it:
// answers of secret discovery (SDS), which it reads anew when something is renamed there.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/security/secret
var SecretFiles = []string{certificateFile, authorityFile}

const (
	certificateFile = "certificate.yaml"
	authorityFile   = "authority.yaml"
)

// Secret is what is in one of SecretFiles, for a folder where it is on the proxy's host, which
// has tls.crt, tls.key and ca.crt.
func Secret(name, dir string) []byte {
	at := func(file string) string {
		text, _ := quote(filepath.Join(dir, file)) // a string always has a form in JSON
		return text
	}
	head := "resources:\n  - \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\n"
	watched := fmt.Sprintf("      watched_directory: {path: %s}\n", at(""))
	if name == certificateFile {
		return []byte(head + "    name: xds_certificate\n    tls_certificate:\n" +
			fmt.Sprintf("      certificate_chain: {filename: %s}\n      private_key: {filename: %s}\n", at("tls.crt"), at("tls.key")) + watched)
	}
	return []byte(head + "    name: xds_authority\n    validation_context:\n" +
		fmt.Sprintf("      trusted_ca: {filename: %s}\n", at("ca.crt")) + watched)
}

// checkTLS refuses what Envoy would only find when it connects.
func (o Options) checkTLS() error {
	switch {
	case o.TLS == "" && o.TLSServerName != "":
		return fmt.Errorf("the server's name %q is of a certificate, and there is no TLS", o.TLSServerName)
	case strings.ContainsAny(o.TLS, "\n\r"):
		return fmt.Errorf("the folder of certificates %q: not a path", o.TLS)
	}
	return nil
}
