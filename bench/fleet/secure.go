package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/waxwing-xds/waxwing/internal/certs"
	"github.com/waxwing-xds/waxwing/internal/identity"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// secure are the options of a server with mutual TLS; none for plain text. Ours has what bin/xds
// has by default: each message of a stream is held against the certificate of its connection. The
// floor verifies the certificate, and no more.
func (h serving) secure(ctx context.Context) ([]grpc.ServerOption, error) {
	if h.certificates == "" {
		return nil, nil
	}
	at := func(name string) string { return filepath.Join(certs.ServerDir(h.certificates), name) }
	if h.side == sideFloor {
		return floorTLS(at)
	}
	log := slog.New(slog.DiscardHandler)
	files := identity.Files{Cert: at(certs.CertFile), Key: at(certs.KeyFile), ClientCA: at(certs.CAFile)}
	keeper, err := identity.NewKeeper(log, files, tls.VersionTLS13, time.Now)
	if err != nil {
		return nil, err
	}
	guard := identity.New(log, keeper, identity.Rules{})
	go keeper.Run(ctx, watch.Settings{Quiet: time.Second, Max: time.Minute}) //nolint:errcheck // ends with the process
	go guard.Run(ctx)                                                        //nolint:errcheck // the same
	return guard.Options(), nil
}

func floorTLS(at func(string) string) ([]grpc.ServerOption, error) {
	own, err := tls.LoadX509KeyPair(at(certs.CertFile), at(certs.KeyFile))
	if err != nil {
		return nil, err
	}
	pool, err := authorities(at(certs.CAFile))
	if err != nil {
		return nil, err
	}
	return []grpc.ServerOption{grpc.Creds(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		SessionTicketsDisabled: true, // as ours
	}))}, nil
}

func authorities(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool, nil
}

// clients makes the credentials of proxies: each has a certificate of its own, as it should. The
// proxies have another process than the server, so that what that costs is not the server's.
func clients(dir string) (func(node string) credentials.TransportCredentials, error) {
	if dir == "" {
		return func(string) credentials.TransportCredentials { return nil }, nil
	}
	authority, err := certs.ReadAuthority(dir)
	if err != nil {
		return nil, err
	}
	pool, err := authorities(filepath.Join(dir, certs.CAFile))
	if err != nil {
		return nil, err
	}
	return func(node string) credentials.TransportCredentials {
		made, err := authority.Issue(certs.Request{CommonName: node, DNS: []string{node}, From: time.Now().Add(-time.Hour), Until: time.Now().Add(24 * time.Hour)})
		if err != nil {
			panic(err) // it has a key
		}
		own, err := tls.X509KeyPair(made.Cert, made.Key)
		if err != nil {
			panic(err) // it was made just now
		}
		return credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{own}, RootCAs: pool, ServerName: "localhost"})
	}, nil
}

// storms are how often all proxies connect to each server, in plain text and with mutual TLS in turn.
const storms = 3

const secureHeader = `| all connect | proxies | server CPU, plain text | mutual TLS | × | resident for each, plain text | mutual TLS | more |
|---|---|---|---|---|---|---|---|`

// measureTLS prints what mutual TLS costs when all proxies connect, of ours and of the floor, and
// then pushes, beside the floor, with mutual TLS in both.
func (o options) measureTLS(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "waxwing-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is the system's folder for such
	if _, err := certs.Make(certs.Options{Dir: dir, Servers: []string{"localhost"}, Days: 1, Now: time.Now()}); err != nil {
		return err
	}
	most := slices.Max(o.sizes)
	fmt.Printf("\n%s\n", secureHeader)
	for _, side := range []string{sideOurs, sideFloor} {
		if err := o.stormsOf(ctx, side, most, dir); err != nil {
			return err
		}
	}
	if o.pushes == 0 {
		return nil
	}
	o.sides, o.certificates = []string{sideOurs, sideFloor}, dir
	fmt.Printf("\n%s\n", pushHeader)
	for k, n := range map[kind]int{configuration: most, inlineModule: min(most, o.moduleMost)} {
		if _, err := o.measureCase(ctx, k, n, false); err != nil {
			return fmt.Errorf("%s to %d: %w", k, n, err)
		}
	}
	return nil
}

// stormsOf prints a line: medians of the storms, and of their ratios and differences, each of which
// is of two that followed one another.
func (o options) stormsOf(ctx context.Context, side string, n int, dir string) error {
	var cpu, secureCPU []time.Duration
	var ratios []float64
	var each, secureEach, more []int64
	for range storms {
		plain, err1 := o.storm(ctx, side, n, "")
		secure, err2 := o.storm(ctx, side, n, dir)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("%d connect to %s: %w", n, side, errors.Join(err1, err2))
		}
		cpu, secureCPU = append(cpu, plain.cpu), append(secureCPU, secure.cpu)
		ratios = append(ratios, float64(secure.cpu)/float64(plain.cpu))
		each, secureEach, more = append(each, plain.each), append(secureEach, secure.each), append(more, secure.each-plain.each)
	}
	fmt.Printf("| %s | %d | %s | %s | %.2f | %.1f KiB | %.1f KiB | %.1f KiB |\n", side, n,
		ms(median(cpu)), ms(median(secureCPU)), median(ratios), kib(median(each)), kib(median(secureEach)), kib(median(more)))
	return nil
}

// storm connects all proxies to a server that is new.
func (o options) storm(ctx context.Context, side string, n int, certificates string) (connected, error) {
	o.certificates = certificates
	c, err := up(ctx, side, configuration, n, o)
	defer c.down()
	return c.connect, err
}
