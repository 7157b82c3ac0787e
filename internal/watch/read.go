package watch

import (
	"fmt"
)

// read returns the bytes of a file; whole is false when it was written to while
// it was read, or when another process still has it open for writing.
func (w *Watcher) read(path string) (data []byte, whole bool, err error) {
	rule := w.rule(path)
	f, err := rule.Open(path)
	if err != nil {
		return nil, true, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	whole = !beingWritten(f)
	before, err := f.Stat()
	if err != nil {
		return nil, true, fmt.Errorf("reading: %w", err)
	}
	if data, err = rule.ReadAll(f); err != nil {
		return nil, true, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, true, fmt.Errorf("reading: %w", err)
	}
	same := before.Size() == after.Size() && before.ModTime().Equal(after.ModTime()) && int64(len(data)) == after.Size()
	return data, whole && same, nil
}
