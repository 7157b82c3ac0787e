package watch

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched is a watcher of a test, and what it told that the test has not looked at.
type watched struct {
	*Watcher
	changes chan []Change
	rest    []Change
	same    []string // the files that were saved as they were
}

// telling is a watcher's end of the channel: it waits until the test looks, or is over.
func (w *watched) telling(ctx context.Context) func([]Change) {
	return func(changes []Change) {
		select {
		case w.changes <- changes:
		case <-ctx.Done():
		}
	}
}

// watching runs a watcher for a test.
func watching(t *testing.T, paths ...string) *watched {
	t.Helper()
	return watchingFor(t, 20*time.Millisecond, paths...)
}

// watchingTwo watches two files, which hold 1 and 0.
func watchingTwo(t *testing.T) (w *watched, one, zero string) {
	t.Helper()
	dir := t.TempDir()
	one, zero = filepath.Join(dir, "a.wasm"), filepath.Join(dir, "b.wasm")
	write(t, one, "1")
	write(t, zero, "0")
	w = watching(t, one, zero)
	w.want(t, one, "1")
	w.want(t, zero, "0")
	return w, one, zero
}

func watchingFor(t *testing.T, quiet time.Duration, paths ...string) *watched {
	t.Helper()
	w, err := New(slog.New(slog.DiscardHandler), Settings{Quiet: quiet, Max: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	out := &watched{Watcher: w, changes: make(chan []Change)}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, out.telling(ctx)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	w.Watch(paths)
	return out
}

// want takes the next change, which must be of a file and have this content;
// "" stands for a file that is not there.
func (w *watched) want(t *testing.T, path, content string) {
	t.Helper()
	c := w.settled(t)
	gone := content == "" && errors.Is(c.Err, fs.ErrNotExist)
	if c.Path != path || !gone && (c.Err != nil || string(c.Data) != content) {
		t.Fatalf("change of %s to %q (%v), want %s %q", c.Path, c.Data, c.Err, path, content)
	}
	if c.Settled.Before(c.Noticed) {
		t.Errorf("settled %v before it was noticed", c.Noticed.Sub(c.Settled))
	}
}

// wantAll waits until each path was told to be so last, whatever was told before.
func (w *watched) wantAll(t *testing.T, want map[string]string) {
	t.Helper()
	last := map[string]string{}
	for !maps.Equal(last, want) {
		switch c := w.settled(t); {
		case c.Folder:
			last[c.Path] = "a folder"
		case c.Err != nil && !errors.Is(c.Err, fs.ErrNotExist):
			t.Fatalf("%+v", c)
		default:
			last[c.Path] = string(c.Data)
		}
	}
}

// settled gives the next change that has settled.
func (w *watched) settled(t *testing.T) Change {
	t.Helper()
	for {
		if c := w.next(t); !c.Draft {
			return c
		}
	}
}

func (w *watched) next(t *testing.T) Change {
	t.Helper()
	return first(t, w, &w.rest)
}

// nextSame gives the next file that was saved as it was.
func (w *watched) nextSame(t *testing.T) string {
	t.Helper()
	return first(t, w, &w.same)
}

// first waits until there is something in a list of what was told, and takes the first.
func first[T any](t *testing.T, w *watched, told *[]T) T {
	t.Helper()
	for len(*told) == 0 {
		w.take(t)
	}
	one := (*told)[0]
	*told = (*told)[1:]
	return one
}

// take takes what is told next.
func (w *watched) take(t *testing.T) {
	t.Helper()
	select {
	case changes := <-w.changes:
		for _, c := range changes {
			if c.Same {
				w.same = append(w.same, c.Path)
			} else {
				w.rest = append(w.rest, c)
			}
		}
	case <-time.After(15 * time.Second):
		t.Fatal("no change came")
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSaves(t *testing.T) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "a.wasm"), filepath.Join(dir, "b.wasm")
	write(t, file, "1")
	w := watching(t, file)
	w.want(t, file, "1")

	write(t, file, "2") // in place, as `go build -o` does
	w.want(t, file, "2")

	write(t, other, "3") // renamed over, as editors and `cargo build` do
	must(t, os.Rename(other, file))
	w.want(t, file, "3")

	must(t, os.Remove(file))
	w.want(t, file, "")
	write(t, file, "4")
	w.want(t, file, "4")

	write(t, other, "nobody asked")
	write(t, file, "5")
	w.want(t, file, "5")
}

// The same bytes say nothing, however they are saved: what comes next is the change
// of a file that was saved, and so was due, later.
func TestSameBytes(t *testing.T) {
	w, file, later := watchingTwo(t)
	for content, save := range map[string]func(){
		"in place": func() { write(t, file, "1") },
		"renamed":  func() { write(t, file+".new", "1"); must(t, os.Rename(file+".new", file)) },
	} {
		save()
		write(t, later, content)
		w.want(t, later, content)
		if path := w.nextSame(t); path != file {
			t.Errorf("%s was saved as it was, and is said of %s", file, path)
		}
	}
}

func TestAbsentAtFirst(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "not", "yet", "a.wasm")
	w := watching(t, file)
	w.want(t, file, "")
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	write(t, file, "1")
	w.want(t, file, "1")

	must(t, os.RemoveAll(filepath.Join(dir, "not")))
	w.want(t, file, "")
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	write(t, file, "2")
	w.want(t, file, "2")
}

// A Kubernetes ConfigMap volume: file → ..data/file, ..data → ..2024_1, and an
// update swaps ..data by a rename.
func TestConfigMap(t *testing.T) {
	dir := t.TempDir()
	put := func(version, content string) {
		must(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		write(t, filepath.Join(dir, version, "fleet.yaml"), content)
		must(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	put("..2024_1", "1")
	file := filepath.Join(dir, "fleet.yaml")
	must(t, os.Symlink(filepath.Join("..data", "fleet.yaml"), file))

	for name, path := range map[string]string{"the file": file, "the folder": dir} {
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(file)
			must(t, err)
			w := watching(t, path)
			w.want(t, file, string(content))
			put("..2024_2"+name, "2 "+name)
			w.want(t, file, "2 "+name)
			put("..2024_3"+name, "3 "+name)
			w.want(t, file, "3 "+name)
		})
	}
}

// A link that leads nowhere for a while is a file that is gone, and it is there again when what is
// behind it is: not when everything is looked at again.
func TestLinkThatLeadsNowhere(t *testing.T) {
	for name, swap := range map[string]func(t *testing.T, dir, to string){
		"a folder behind it is swapped": func(t *testing.T, dir, to string) {
			must(t, os.Symlink(to, filepath.Join(dir, "..data_tmp")))
			must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		},
		"a folder behind it is made anew": func(t *testing.T, dir, to string) {
			must(t, os.RemoveAll(filepath.Join(dir, "..data")))
			if content, err := os.ReadFile(filepath.Join(dir, to, "fleet.yaml")); err == nil {
				must(t, os.Mkdir(filepath.Join(dir, "..data"), 0o700))
				write(t, filepath.Join(dir, "..data", "fleet.yaml"), string(content))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for version, content := range map[string]string{"..1": "1", "..2": "", "..3": "3", "..4": "", "..5": "5"} {
				must(t, os.Mkdir(filepath.Join(dir, version), 0o700))
				if content != "" {
					write(t, filepath.Join(dir, version, "fleet.yaml"), content)
				}
			}
			swap(t, dir, "..1")
			file := filepath.Join(dir, "fleet.yaml")
			must(t, os.Symlink(filepath.Join("..data", "fleet.yaml"), file))
			w := watching(t, dir)
			w.want(t, file, "1")
			for _, next := range []struct{ version, content string }{{"..2", ""}, {"..3", "3"}, {"..4", ""}, {"..5", "5"}} {
				began := time.Now()
				swap(t, dir, next.version)
				if w.want(t, file, next.content); time.Since(began) > rescan/2 {
					t.Errorf("%s is noticed after %s", next.version, time.Since(began))
				}
			}
			must(t, os.Remove(file))
			w.want(t, file, "")
			write(t, file, "6")
			w.want(t, file, "6")
		})
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yml")
	write(t, a, "1")
	write(t, filepath.Join(dir, ".hidden.yaml"), "no")
	write(t, filepath.Join(dir, "README.md"), "no")
	w := watching(t, dir)
	w.want(t, a, "1")
	write(t, b, "2")
	w.want(t, b, "2")
	must(t, os.Remove(b))
	w.want(t, b, "")
	write(t, b, "3")
	w.want(t, b, "3")
	must(t, os.Rename(b, filepath.Join(dir, "c.yaml")))
	gone, came := w.settled(t), w.settled(t)
	if gone.Path == filepath.Join(dir, "c.yaml") {
		gone, came = came, gone
	}
	if gone.Path != b || !errors.Is(gone.Err, fs.ErrNotExist) || string(came.Data) != "3" {
		t.Errorf("a rename: %+v, %+v", gone, came)
	}
}

// What was told of a path is told anew where there is a folder, and its files follow; what is below
// a path is gone where there is none, or a file.
func TestFolderComesAndGoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fleets")
	file := filepath.Join(dir, "edge.yaml")
	w := watching(t, dir)
	w.want(t, dir, "")
	for range 2 {
		must(t, os.Mkdir(dir, 0o700))
		write(t, file, "2")
		w.wantAll(t, map[string]string{dir: "a folder", file: "2"})
		must(t, os.RemoveAll(dir))
		w.wantAll(t, map[string]string{dir: "", file: ""})
		write(t, dir, "1")
		w.want(t, dir, "1")
		must(t, os.Remove(dir))
		must(t, os.Mkdir(dir, 0o700))
		write(t, file, "2")
		w.wantAll(t, map[string]string{dir: "a folder", file: "2"})
		must(t, os.Rename(dir, dir+".away"))
		write(t, dir, "1")
		w.wantAll(t, map[string]string{dir: "1", file: ""})
		must(t, os.RemoveAll(dir+".away"))
		must(t, os.Remove(dir))
		w.want(t, dir, "")
	}
}

// A folder where a module is meant is told as wrong, and no file in it is watched.
func TestFolderThatIsNoneOfFleetFiles(t *testing.T) {
	file, dir := filepath.Join(t.TempDir(), "fleet.yaml"), t.TempDir()
	write(t, file, "1")
	write(t, filepath.Join(dir, "edge.yaml"), "2")
	w := watching(t, file)
	w.want(t, file, "1")
	w.Watch([]string{file, dir})
	if c := w.settled(t); c.Path != dir || c.Err == nil || !strings.Contains(c.Err.Error(), "is not a file, but a directory") {
		t.Errorf("%+v", c)
	}
	must(t, os.RemoveAll(dir))
	w.want(t, dir, "")
}

func TestAnotherSet(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a, "1")
	write(t, b, "2")
	w := watching(t, a)
	w.want(t, a, "1")
	w.Watch([]string{a, b})
	w.want(t, b, "2")
	w.Watch([]string{b})
	write(t, a, "not watched any more")
	write(t, b, "3")
	w.want(t, b, "3")
}

// A file that is written for longer than the quiet period does not come out half.
func TestSlowWriter(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.wasm")
	write(t, file, "1")
	w := watching(t, file)
	w.want(t, file, "1")

	f, err := os.Create(file)
	must(t, err)
	_, err = f.WriteString("first half, ")
	must(t, err)
	must(t, f.Sync())
	select {
	case c := <-w.changes:
		t.Errorf("taken while it was open for writing: %+v", c)
	case <-time.After(200 * time.Millisecond): // ten quiet periods
	}
	_, err = f.WriteString("second half")
	must(t, err)
	must(t, f.Close())
	w.want(t, file, "first half, second half")
}

// What a file holds is told before it has settled, for who wants to begin; the same
// bytes are not.
func TestDraft(t *testing.T) {
	w, file, later := watchingTwo(t)
	write(t, file, "1")
	write(t, later, "2")
	for _, draft := range []bool{true, false} {
		c := w.next(t)
		if c.Path != later || string(c.Data) != "2" || c.Draft != draft || c.Noticed.IsZero() || c.Settled.IsZero() != draft {
			t.Errorf("%+v, want the content of %s, draft %t", c, later, draft)
		}
	}
}

// A file that never rests is taken after the maximum delay.
func TestNeverQuiet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a")
	write(t, file, "0")
	w, err := New(slog.New(slog.DiscardHandler), Settings{Quiet: time.Hour, Max: 50 * time.Millisecond})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	told := &watched{Watcher: w, changes: make(chan []Change)}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, told.telling(ctx)) }()
	w.Watch([]string{file})
	told.want(t, file, "0")
	cancel()
	must(t, <-done)
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "loop")
	must(t, os.Symlink("loop", link))
	w := watching(t, link)
	if c := w.settled(t); c.Err == nil || errors.Is(c.Err, fs.ErrNotExist) {
		t.Errorf("a link to itself: %+v", c)
	}
}

// Files that are saved one after the other are one change: what is between them is no
// revision. The first waits for the second, as it would for a change of its own.
func TestSavedTogether(t *testing.T) {
	dir := t.TempDir()
	module, file := filepath.Join(dir, "a.wasm"), filepath.Join(dir, "b.yaml")
	write(t, module, "1")
	write(t, file, "1")
	w := watchingFor(t, time.Second, module, file)
	w.want(t, module, "1")
	w.want(t, file, "1")
	write(t, module, "2")
	if c := w.next(t); !c.Draft || c.Path != module {
		t.Fatalf("%+v, want a draft of the module", c)
	}
	write(t, file, "2") // before the module has settled
	w.want(t, module, "2")
	if len(w.rest) == 0 {
		t.Error("the module comes without the file")
	}
	w.want(t, file, "2")
}

// Who waits for a save learns that one is on its way, until it has come out.
func TestUnsettled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.wasm")
	write(t, file, "1")
	w := watching(t, file)
	if !w.Unsettled() {
		t.Error("it is settled before anything came out")
	}
	w.want(t, file, "1")
	becomes := func(want bool) {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for deadline := time.After(15 * time.Second); w.Unsettled() != want; {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("it did not become %t", want)
			}
		}
	}
	becomes(false)
	write(t, file, "2")
	becomes(true)
	w.want(t, file, "2")
	becomes(false)
}
