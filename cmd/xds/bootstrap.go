package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
)

func (a *app) bootstrap() *cobra.Command {
	var o bootstrap.Options
	var labels, listen []string
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Print an Envoy bootstrap that points at this server",
		Example: `  xds bootstrap --node-id edge-1 --label track=canary > envoy.yaml
  envoy -c envoy.yaml`,
		Args: noArgs,
	}
	f := cmd.Flags()
	f.StringVar(&o.NodeID, "node-id", "", "the proxy's id, its own in the fleet; empty leaves it to envoy --service-node")
	f.StringVar(&o.Cluster, "cluster", "edge", "the proxy's cluster, by which fleets match it")
	f.StringArrayVar(&labels, "label", nil, "KEY=VALUE, by which fleets and rollout stages match it (repeatable)")
	f.StringArrayVar(&listen, "listen", nil, "LISTENER=HOST:PORT, where this proxy has that listener instead of where the fleet file says, for proxies that share a host (repeatable)")
	f.StringVar(&o.Region, "region", "", "the proxy's region")
	f.StringVar(&o.Zone, "zone", "", "the proxy's zone")
	f.StringVar(&o.SubZone, "sub-zone", "", "the proxy's sub-zone")
	f.StringVar(&o.Server, "server", defaultListen, "HOST:PORT of xds, as the proxy reaches it")
	f.StringVar(&o.Admin, "admin-address", "127.0.0.1:9901", "HOST:PORT of Envoy's admin interface")
	f.BoolVar(&o.SotW, "sotw", false, "state-of-the-world instead of delta xDS")
	f.StringVar(&o.Shadow, "shadow", "", "HOST:PORT of loopback for the proxy's shadow listeners, where it has no abstract Unix sockets: on anything but Linux")
	f.BoolVar(&o.NoEvidence, "no-evidence", false, "without health discovery and metrics: the server then has no more than the proxy's ACK to go by")
	f.StringVar(&o.TLS, "tls", "", "mutual TLS with the server: folder, on the proxy's host, of tls.crt, tls.key, ca.crt and what --tls-file prints, as xds certs makes it")
	f.StringVar(&o.TLSServerName, "tls-server-name", "", "DNS name or IP address in the server's certificate, where it is not the host of --server")
	file := f.String("tls-file", "", "print this file of the folder of --tls instead: "+strings.Join(bootstrap.SecretFiles, " or "))
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if *file != "" {
			return a.printSecret(*file, o.TLS)
		}
		if o.Labels, err = bootstrap.ParseLabels(labels); err != nil {
			return usageError{err}
		}
		if o.Listen, err = bootstrap.ParseLabels(listen); err != nil {
			return usageError{err}
		}
		o.Command = commandLine(cmd)
		if err := bootstrap.Write(a.stdout, o); err != nil {
			return usageError{err}
		}
		return nil
	}
	return cmd
}

// printSecret prints a file by which an Envoy takes what is in a folder of certificates.
func (a *app) printSecret(name, dir string) error {
	switch {
	case dir == "":
		return usageError{errors.New("--tls-file: --tls says for which folder")}
	case !slices.Contains(bootstrap.SecretFiles, name):
		return usageError{fmt.Errorf("--tls-file: %q is not one of %s", name, strings.Join(bootstrap.SecretFiles, ", "))}
	}
	_, err := a.stdout.Write(bootstrap.Secret(name, dir))
	return err
}

// commandLine is what was asked for, to be asked again.
func commandLine(cmd *cobra.Command) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			words = append(words, "--"+f.Name+"="+v)
		}
	})
	return strings.NewReplacer("\n", " ", "\r", " ").Replace(strings.Join(words, " "))
}
