package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// spiffeTime is how long the Workload API may take for its first answer.
const spiffeTime = 30 * time.Second

// NewSPIFFE is a keeper of what the SPIFFE Workload API at an address has for this workload,
// "unix:///run/spire/agent.sock" say, which rotates it by itself. Proxies are those of its own
// trust domain. That there is no answer, or none that can be used, is an error.
// https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md
func NewSPIFFE(ctx context.Context, log *slog.Logger, address string, minVersion uint16, now func() time.Time) (*Keeper, error) {
	client, err := workloadapi.New(ctx, workloadapi.WithAddr(address))
	if err != nil {
		return nil, fmt.Errorf("the SPIFFE Workload API: %w", err)
	}
	k := newKeeper(log, Files{Cert: address, ClientCA: address}, minVersion, now)
	k.spiffe = client
	ctx, cancel := context.WithTimeout(ctx, spiffeTime)
	defer cancel()
	first, err := client.FetchX509Context(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the SPIFFE Workload API at %s: %w", address, err), client.Close())
	}
	server, client1, err := k.issued(first)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the SPIFFE Workload API at %s: %w", address, err), client.Close())
	}
	k.use(server, client1)
	return k, nil
}

// follow takes what the Workload API has, whenever that changes.
func (k *Keeper) follow(ctx context.Context) error {
	defer k.spiffe.Close() //nolint:errcheck // nothing is sent
	err := k.spiffe.WatchX509Context(ctx, k)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("the SPIFFE Workload API: %w", err)
}

// OnX509ContextUpdate implements workloadapi.X509ContextWatcher.
func (k *Keeper) OnX509ContextUpdate(c *workloadapi.X509Context) {
	server, client, err := k.issued(c)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.replace(server, err, client, err)
}

// OnX509ContextWatchError implements workloadapi.X509ContextWatcher. It is asked again; meanwhile
// what was there before goes on.
func (k *Keeper) OnX509ContextWatchError(err error) {
	if errors.Is(err, context.Canceled) || k.current.Load() == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.replace(nil, err, nil, err)
}

// issued are the certificate of this workload, and the authorities of its trust domain.
func (k *Keeper) issued(c *workloadapi.X509Context) (*pair, *bundle, error) {
	svid := c.DefaultSVID()
	server := &pair{tls.Certificate{PrivateKey: svid.PrivateKey, Leaf: svid.Certificates[0]}, svid.Certificates}
	for _, link := range svid.Certificates {
		server.Certificate.Certificate = append(server.Certificate.Certificate, link.Raw)
		if err := timely(link, k.now()); err != nil {
			return nil, nil, err
		}
	}
	authorities, err := c.Bundles.GetX509BundleForTrustDomain(svid.ID.TrustDomain())
	if err != nil {
		return nil, nil, err
	}
	client := &bundle{x509.NewCertPool(), authorities.X509Authorities()}
	if len(client.roots) == 0 {
		return nil, nil, fmt.Errorf("the trust domain %s has no authority", svid.ID.TrustDomain())
	}
	for _, root := range client.roots {
		client.pool.AddCert(root)
	}
	return server, client, nil
}
