package watch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxLinks bounds the symbolic links on a path, as the kernel does.
const maxLinks = 40

// trail lists every path on the way to a file whose change can change what is
// read there: each symbolic link, the file itself at the end and, where the way
// ends early, the first part that is missing. For a file of a Kubernetes
// ConfigMap these are the file, a link to ..data/file; ..data, a link that is
// swapped; and the file behind it.
func trail(path string) []string {
	var out []string
	at, rest := string(filepath.Separator), parts(path)
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(next)
		if err != nil {
			return append(out, next)
		}
		if info.Mode()&os.ModeSymlink == 0 {
			at = next
			continue
		}
		out = append(out, next)
		to, err := os.Readlink(next)
		if links++; err != nil || links > maxLinks {
			return out
		}
		if filepath.IsAbs(to) {
			at = string(filepath.Separator)
		}
		rest = slices.Concat(parts(to), rest)
	}
	return append(out, at)
}

// parts splits a path; "." and empty parts go, ".." stays for Join to resolve.
func parts(path string) []string {
	return slices.DeleteFunc(strings.Split(filepath.ToSlash(path), "/"), func(s string) bool { return s == "" || s == "." })
}
