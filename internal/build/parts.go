package build

import (
	"github.com/waxwing-xds/waxwing/internal/module"
	"github.com/waxwing-xds/waxwing/internal/signed"
	"github.com/waxwing-xds/waxwing/internal/watch"
)

// parts are the paths of a fleet file's modules and secrets, and of what its modules are verified by.
func (c *Content) parts() (paths []string) {
	for _, filter := range c.Fleet.Filters {
		paths = append(paths, filter.Module)
		if filter.ConfigFrom.File != "" {
			paths = append(paths, filter.ConfigFrom.File)
		}
	}
	return append(paths, c.beside...)
}

// isPart is whether a path is that of a part of a fleet file.
func (f *Files) isPart(path string) bool {
	return f.modules[path] != nil || f.secrets[path] != nil || f.beside[path] != nil
}

// readPart takes what is in a part of fleet files now; ok is false where the file is none.
func (f *Files) readPart(change watch.Change) (ok bool) {
	at := moments{change.Noticed, change.Settled}
	if m := f.modules[change.Path]; m != nil {
		f.readModule(m, change)
	}
	if s := f.secrets[change.Path]; s != nil {
		s.data, s.err, s.saved = append([]byte{}, change.Data...), change.Err, at
	}
	if b := f.beside[change.Path]; b != nil {
		b.File, b.read, b.saved = signed.File{Data: change.Data, Err: change.Err}, true, at
	}
	return f.isPart(change.Path)
}

// told is what has been told of a path that is a part already, of whichever kind, and not told again for
// one of another kind; nil where nothing has.
func (f *Files) told(path string) *besideFile {
	switch m, s, b := f.modules[path], f.secrets[path], f.beside[path]; {
	case m.read() && m.err != nil:
		return &besideFile{signed.File{Err: m.err}, true, m.saved}
	case m.read():
		return &besideFile{signed.File{Data: m.module.Bytes}, true, m.saved}
	case s.read():
		return &besideFile{signed.File{Data: s.data, Err: s.err}, true, s.saved}
	case b != nil && b.read:
		return &besideFile{b.File, true, b.saved}
	}
	return nil
}

func (f *Files) newModule(path string) *moduleFile {
	known := f.told(path)
	switch {
	case known == nil:
		return &moduleFile{}
	case known.Err != nil:
		return &moduleFile{err: known.Err, saved: known.saved}
	}
	return &moduleFile{module: module.New(known.Data), saved: known.saved}
}

func (f *Files) newSecret(path string) *secretFile {
	known := f.told(path)
	if known == nil {
		return &secretFile{}
	}
	return &secretFile{data: append([]byte{}, known.Data...), err: known.Err, saved: known.saved}
}

func (f *Files) newBeside(path string) *besideFile {
	if known := f.told(path); known != nil {
		return known
	}
	return &besideFile{}
}

// partsSaved are the moments of the parts of a file.
func (f *Files) partsSaved(file *fleetFile) (all []moments) {
	if file.content == nil {
		return nil
	}
	for _, path := range file.content.parts() {
		if m := f.modules[path]; m != nil {
			all = append(all, m.saved)
		}
		if s := f.secrets[path]; s != nil {
			all = append(all, s.saved)
		}
		if b := f.beside[path]; b != nil {
			all = append(all, b.saved)
		}
	}
	return all
}
