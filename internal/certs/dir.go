package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// Options are what a folder of certificates is to have.
type Options struct {
	Dir string
	// Servers are the names and IP addresses by which proxies reach the server; none for those
	// that its certificate has, or else for those of this machine alone.
	Servers []string
	// Nodes are node ids of proxies, beside those that there are: each has a certificate for
	// that name.
	Nodes []string
	// Days is how long the certificates are good for, those of servers and proxies.
	Days int
	// Rotate are what is made anew though it is still good; RetireCA ends that the CAs before
	// the last are trusted.
	Rotate   Rotation
	RetireCA bool
	// Group has proxies' keys readable for the folder's group, too.
	Group bool
	Now   time.Time
}

// A Rotation says what is made anew.
type Rotation struct{ CA, Server, Proxies bool }

const (
	caDays = 3650
	// early is how much sooner than now certificates are good: clocks differ.
	early = time.Hour
)

// The files of a certificate's folder, as those of a Kubernetes secret of cert-manager.
const (
	CertFile = "tls.crt"
	KeyFile  = "tls.key"
	CAFile   = "ca.crt"

	caKeyFile = "ca.key" // of the folder itself alone
)

// ServerDir is the folder of the server's certificate.
func ServerDir(dir string) string { return filepath.Join(dir, "server") }

// ProxyDir is that of a proxy's.
func ProxyDir(dir, node string) string { return filepath.Join(dir, "proxies", node) }

// A maker makes what a folder lacks, and notes what that was.
type maker struct {
	Options

	authority *Authority
	bundle    []byte
	made      []string
}

// Make makes what is missing, has less than a third of its life left, or is to be rotated, and
// returns what that was, for people.
func Make(o Options) (made []string, err error) {
	for _, node := range o.Nodes {
		if !nodeName.MatchString(node) {
			return nil, fmt.Errorf("node id %q: there can be a certificate for letters, digits, dots, dashes and underscores, of which the first is no dot", node)
		}
	}
	m := &maker{Options: o}
	if err := os.MkdirAll(o.Dir, m.proxies().dir); err != nil {
		return nil, fmt.Errorf("the folder of certificates: %w", err)
	}
	if err := m.theCA(); err != nil {
		return nil, fmt.Errorf("the CA in %s: %w", o.Dir, err)
	}
	request, other := m.serverRequest()
	if err := m.certificate(ServerDir(o.Dir), "of the server", request, own, o.Rotate.Server || other); err != nil {
		return m.made, err
	}
	nodes, err := m.nodes()
	if err != nil {
		return m.made, err
	}
	for _, node := range nodes {
		r := Request{CommonName: node, DNS: []string{node}}
		dir := ProxyDir(o.Dir, node)
		if err := m.certificate(dir, "of "+node, r, m.proxies(), o.Rotate.Proxies); err != nil {
			return m.made, err
		}
		if err := m.sds(dir); err != nil {
			return m.made, err
		}
	}
	return m.made, nil
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)

// A folder's modes: of itself, and of the key in it.
type modes struct{ dir, key fs.FileMode }

var own = modes{0o700, 0o600}

// proxies are the modes of the proxies' folders, and of the one that these are in.
func (m *maker) proxies() modes {
	if m.Group {
		return modes{0o750, 0o640}
	}
	return own
}

// serverRequest is for the server's certificate; other, that it is to have other names than now.
func (m *maker) serverRequest() (r Request, other bool) {
	r.Server = true
	for _, name := range m.Servers {
		if ip := net.ParseIP(name); ip != nil {
			r.IPs = append(r.IPs, ip)
		} else {
			r.DNS = append(r.DNS, name)
		}
	}
	now := m.served()
	if len(m.Servers) == 0 {
		r.DNS, r.IPs = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
		if now != nil {
			r.DNS, r.IPs = now.DNSNames, now.IPAddresses
		}
	}
	r.CommonName = "xds"
	return r, now != nil && (!slices.Equal(now.DNSNames, r.DNS) || !slices.EqualFunc(now.IPAddresses, r.IPs, net.IP.Equal))
}

// served is the server's certificate as it is, nil for none.
func (m *maker) served() *x509.Certificate {
	text, err := os.ReadFile(filepath.Join(ServerDir(m.Dir), CertFile))
	if err != nil {
		return nil
	}
	c, err := readCert(text)
	if err != nil {
		return nil
	}
	return c
}

// nodes are those that are asked for, and those that have a folder.
func (m *maker) nodes() ([]string, error) {
	entries, err := os.ReadDir(ProxyDir(m.Dir, ""))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the proxies' certificates: %w", err)
	}
	all := slices.Clone(m.Nodes)
	for _, e := range entries {
		if e.IsDir() && nodeName.MatchString(e.Name()) {
			all = append(all, e.Name())
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// theCA reads the CA or makes one. After a rotation the bundle has those before, too: what they
// have issued is to go on until it is made anew.
func (m *maker) theCA() error {
	cert, key := filepath.Join(m.Dir, CAFile), filepath.Join(m.Dir, caKeyFile)
	bundle, err := os.ReadFile(cert)
	if errors.Is(err, fs.ErrNotExist) || err == nil && m.Rotate.CA {
		if err := m.newCA(key); err != nil {
			return err
		}
		m.bundle = append(m.bundle, bundle...)
		return m.save(cert, m.bundle, 0o644)
	}
	if err != nil {
		return err
	}
	if m.authority, err = ReadAuthority(m.Dir); err != nil {
		return err
	}
	m.bundle = bundle
	if m.RetireCA {
		m.bundle = encodeCert(m.authority.Cert)
	}
	if !bytes.Equal(m.bundle, bundle) {
		m.made = append(m.made, "the CAs before are not trusted any more")
		return m.save(cert, m.bundle, 0o644)
	}
	return nil
}

// ReadAuthority reads the CA of a folder that Make has made.
func ReadAuthority(dir string) (*Authority, error) {
	bundle, err := os.ReadFile(filepath.Join(dir, CAFile))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(dir, caKeyFile))
	if err != nil {
		return nil, err
	}
	return readAuthority(bundle, key)
}

func (m *maker) newCA(key string) (err error) {
	if m.authority, err = NewAuthority("Waxwing development CA", m.Now.Add(-early), m.Now.AddDate(0, 0, caDays)); err != nil {
		return err
	}
	p, err := m.authority.PEM()
	if err != nil {
		return err
	}
	m.bundle = p.Cert
	m.made = append(m.made, "a CA")
	return m.save(key, p.Key, 0o600)
}

// certificate makes one in a folder where that is due, and the bundle beside it.
func (m *maker) certificate(dir, whose string, r Request, mode modes, anew bool) error {
	if err := os.MkdirAll(dir, mode.dir); err != nil {
		return fmt.Errorf("the certificate %s: %w", whose, err)
	}
	files := map[string]file{CAFile: {m.bundle, 0o644}}
	if anew || m.due(dir) {
		r.From, r.Until = m.Now.Add(-early), m.Now.AddDate(0, 0, m.Days)
		p, err := m.authority.Issue(r)
		if err != nil {
			return fmt.Errorf("the certificate %s: %w", whose, err)
		}
		files[CertFile], files[KeyFile] = file{p.Cert, 0o644}, file{p.Key, mode.key}
		m.made = append(m.made, fmt.Sprintf("the certificate %s, good until %s", whose, r.Until.Format(time.DateTime)))
	}
	if err := swap(dir, files, mode.dir); err != nil {
		return fmt.Errorf("the certificate %s: %w", whose, err)
	}
	return nil
}

// trusts is whether a CA of the bundle has issued a certificate.
func (m *maker) trusts(c *x509.Certificate) bool {
	for block, rest := pem.Decode(m.bundle); block != nil; block, rest = pem.Decode(rest) {
		if ca, err := x509.ParseCertificate(block.Bytes); err == nil && c.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return false
}

// due is whether there is no certificate in a folder that is good for a while.
func (m *maker) due(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, CertFile))
	if err != nil {
		return true
	}
	c, err := readCert(text)
	if err != nil {
		return true
	}
	return !m.trusts(c) || c.NotAfter.Sub(m.Now) < c.NotAfter.Sub(c.NotBefore)/3
}

func (m *maker) save(path string, data []byte, mode fs.FileMode) error {
	if err := os.WriteFile(path+".new", data, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
