package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/waxwing-xds/waxwing/internal/api"
)

// adminFlag lets a command choose the server: --admin, else XDS_ADMIN, else where one that is
// run here, with these settings, would be.
func (a *app) adminFlag(cmd *cobra.Command) func() *api.Client {
	address := cmd.Flags().String("admin", "", "the server's admin API, HOST:PORT or unix:PATH (also XDS_ADMIN); by default its socket in the state directory, then "+defaultAdmin)
	known := a.accessFlags(cmd)
	return func() *api.Client {
		if *address != "" {
			return known(*address)
		}
		if env := a.getenv(envName("admin")); env != "" {
			return known(env)
		}
		return known(a.settings().adminAddresses()...)
	}
}

// accessPaths is by what a command proves who asks.
type accessPaths struct{ token, ca, cert, key string }

// accessFlags let a command prove who asks. A token is never a flag: others on the machine see those.
// What is named is read before the command begins.
func (a *app) accessFlags(cmd *cobra.Command) func(addresses ...string) *api.Client {
	var p accessPaths
	var access api.Access
	f := cmd.Flags()
	f.StringVar(&p.token, "admin-token-file", "", "file of the bearer token that the admin API wants (also XDS_ADMIN_TOKEN_FILE; XDS_ADMIN_TOKEN is the token itself)")
	f.StringVar(&p.ca, "admin-ca", "", "authorities of the admin API's certificate, PEM file: it speaks TLS (also XDS_ADMIN_CA)")
	f.StringVar(&p.cert, "admin-cert", "", "client certificate for it, PEM file (also XDS_ADMIN_CERT)")
	f.StringVar(&p.key, "admin-key", "", "its key, PEM file (also XDS_ADMIN_KEY)")
	cmd.PreRunE = func(*cobra.Command, []string) (err error) {
		for name, value := range map[string]*string{"admin-token-file": &p.token, "admin-ca": &p.ca, "admin-cert": &p.cert, "admin-key": &p.key} {
			*value = cmp.Or(*value, a.getenv(envName(name)))
		}
		if access, err = p.read(); err != nil {
			return err
		}
		access.Token = cmp.Or(access.Token, a.getenv("XDS_ADMIN_TOKEN"))
		return nil
	}
	return func(addresses ...string) *api.Client { return api.NewWith(access, addresses...) }
}

func (p accessPaths) read() (access api.Access, err error) {
	if p.token != "" {
		if access.Token, err = readToken(p.token); err != nil {
			return access, fmt.Errorf("--admin-token-file: %w", err)
		}
	}
	switch {
	case (p.cert != "") != (p.key != ""):
		return access, usageError{errors.New("--admin-cert and --admin-key go together")}
	case p.ca == "" && p.cert != "":
		return access, usageError{errors.New("--admin-cert: --admin-ca says by which authorities the server is known")}
	case p.ca == "":
		return access, nil
	}
	text, err := os.ReadFile(p.ca)
	if err != nil {
		return access, fmt.Errorf("--admin-ca: %w", err)
	}
	access.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if !access.TLS.RootCAs.AppendCertsFromPEM(text) {
		return access, fmt.Errorf("--admin-ca: %s has no certificate", p.ca)
	}
	if p.cert != "" {
		pair, err := tls.LoadX509KeyPair(p.cert, p.key)
		if err != nil {
			return access, fmt.Errorf("--admin-cert, --admin-key: %w", err)
		}
		access.TLS.Certificates = []tls.Certificate{pair}
	}
	return access, nil
}

func readToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("%s does not hold one token", path)
	}
	return token, nil
}

// settings are those of a server that is run here without flags. What can't be read in its file
// is as it is by default: who asks a server is not to be kept from it by that.
func (a *app) settings() settings {
	var s settings
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	path := flags.String("config", defaultConfig, "")
	s.flags(flags)
	if env := a.getenv(envName("config")); env != "" {
		*path = env
	}
	if load(flags, *path, a.getenv) != nil {
		s, flags = settings{}, pflag.NewFlagSet("", pflag.ContinueOnError)
		s.flags(flags)
		if env := a.getenv(envName("state")); env != "" {
			s.State = env
		}
	}
	return s
}

// adminAddresses is where a server with these settings has its admin API.
func (s settings) adminAddresses() (all []string) {
	if address := s.adminSocket(); address != "" {
		all = append(all, address)
	}
	if address := s.adminTCP(); address != "" || len(all) == 0 {
		all = append(all, cmp.Or(address, defaultAdmin))
	}
	return all
}
