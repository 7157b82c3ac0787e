package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"time"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// NewAdminKeeper keeps the certificates of the admin API. Without ClientCA its clients have none;
// with, they must, unless optional says that they may prove who they are in another way.
func NewAdminKeeper(log *slog.Logger, files Files, optional bool, now func() time.Time) (*Keeper, error) {
	k := newKeeper(log, files, tls.VersionTLS12, now)
	k.port, k.optional, k.protocols = "the admin API", optional, []string{"http/1.1"}
	return k, k.begin()
}

// TLS is the TLS of the admin API: each connection gets what is in use when it comes.
func (k *Keeper) TLS() *tls.Config { return k.config() }

// Verify is whether a client's certificates prove who it is, by the authorities that are in use now.
func (k *Keeper) Verify(sent []*x509.Certificate) error {
	_, err := k.current.Load().client.verify(sent, k.now())
	return err
}

// Leaf is the server's certificate that is in use now.
func (k *Keeper) Leaf() *x509.Certificate { return k.current.Load().server.chain[0] }

// Certificates says what is in use, and what is wrong with what is on disk.
func (k *Keeper) Certificates() []api.Certificate { return k.certificates() }

// clientAuth is what is asked of who connects.
func (k *Keeper) clientAuth() tls.ClientAuthType {
	switch {
	case k.files.ClientCA == "":
		return tls.NoClientCert
	case k.optional:
		return tls.VerifyClientCertIfGiven
	}
	return tls.RequireAndVerifyClientCert
}

// RunAlone is Run without a Guard, which else tries again what was on disk too early.
func (k *Keeper) RunAlone(ctx context.Context, settings watch.Settings) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-tick.C:
				k.again()
			case <-done:
				return
			}
		}
	}()
	return k.Run(ctx, settings)
}
