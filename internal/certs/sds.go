package certs

import (
	"fmt"
	"path/filepath"

	"github.com/waxwing-xds/waxwing/internal/bootstrap"
)

// sds writes the files by which an Envoy takes what is in a proxy's folder, and takes it anew
// when that changes. They name the folder by where it is here.
func (m *maker) sds(dir string) error {
	at, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("the folder of certificates: %w", err)
	}
	files := map[string]file{}
	for _, name := range bootstrap.SecretFiles {
		files[name] = file{bootstrap.Secret(name, at), 0o644}
	}
	return swap(dir, files, m.proxies().dir)
}
