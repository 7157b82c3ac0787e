package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxwing-xds/waxwing/internal/certs"
)

func (a *app) certs() *cobra.Command {
	var o certs.Options
	var rotate []string
	cmd := &cobra.Command{
		Use:   "certs",
		Short: "Make a development CA, and certificates of the server and its proxies",
		Long: `Make what is missing in a folder: a CA, a certificate of the server, and one for
each proxy, whose node id it is for. What has less than a third of its life left
is made anew, so that the command can be run again and again; servers and
Envoys that run take what is new without a restart.

  DIR/ca.crt, ca.key           the CA, which stays where it is made
  DIR/server/                  tls.crt, tls.key, ca.crt: --tls-cert, --tls-key, --client-ca
  DIR/proxies/NODE/            the same for a proxy: xds bootstrap --tls

To rotate the CA: --rotate ca, which has both trusted; when all have that,
--rotate server,proxies; then --retire-ca, which ends that the old one is.`,
		Example: `  xds certs --node edge-1 --node edge-2 --server-name xds.internal
  xds serve --tls-cert certs/server/tls.crt --tls-key certs/server/tls.key --client-ca certs/server/ca.crt
  xds bootstrap --node-id edge-1 --server xds.internal:17000 --tls "$PWD/certs/proxies/edge-1" > envoy.yaml`,
		Args: noArgs,
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", "certs", "the folder")
	f.StringArrayVar(&o.Servers, "server-name", nil, "DNS name or IP address by which proxies reach the server (repeatable); those that it has, or at first localhost's")
	f.StringArrayVar(&o.Nodes, "node", nil, "node id of a proxy, beside those that there are (repeatable)")
	f.IntVar(&o.Days, "days", 90, "how many days the certificates of server and proxies are good for")
	f.StringSliceVar(&rotate, "rotate", nil, "make these anew, though they are good: ca, server, proxies")
	f.BoolVar(&o.RetireCA, "retire-ca", false, "trust the newest CA alone; what another has issued is made anew")
	f.BoolVar(&o.Group, "group", false, "let the folder's group read the keys of proxies, which run as another user")
	cmd.RunE = func(*cobra.Command, []string) (err error) {
		if o.Rotate, err = rotation(rotate); err != nil {
			return usageError{err}
		}
		if o.Days < 1 {
			return usageError{fmt.Errorf("--days: %d is under 1", o.Days)}
		}
		if o.Rotate.CA && o.RetireCA {
			return usageError{errors.New("--retire-ca: first have everything take the new CA beside the old one")}
		}
		o.Now = time.Now()
		made, err := certs.Make(o)
		for _, what := range made {
			fmt.Fprintln(a.stdout, o.Dir+":", what)
		}
		if err == nil && len(made) == 0 {
			fmt.Fprintln(a.stdout, o.Dir+": all is there, and good for a while")
		}
		return err
	}
	return cmd
}

func rotation(words []string) (r certs.Rotation, err error) {
	for _, word := range words {
		switch word {
		case "ca":
			r.CA = true
		case "server":
			r.Server = true
		case "proxies":
			r.Proxies = true
		default:
			return r, fmt.Errorf("--rotate: %q is not one of ca, server, proxies", word)
		}
	}
	return r, nil
}
