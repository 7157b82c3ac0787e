// Command filter measures what the filter costs a request: requests/s of an
// Envoy's one worker at listeners with no filter, with the floor (a module that
// does nothing in the same callbacks), with the floor and the headers read, with
// the filter that the project began with, and with both of today's. They take
// turns, a fraction of a second each, so that a machine that drifts does so for
// all, with one Envoy after another. It also measures each module: its size, the
// time from push to ACK, the memory of a VM. Run by `make bench-filter`.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

func main() { rig.Main("bench", run) }

// options bound the time that it takes.
type options struct {
	processes   int
	rounds      int
	slice       time.Duration
	connections int
	pushes      int
	vms         int
	bare        bool
	also        string
}

// headers are those of a request beside Host and the token: curl's, as in the README.
func (o options) headers() string {
	if o.bare {
		return ""
	}
	return "User-Agent: curl/8.14.1\r\nAccept: */*\r\n"
}

func run(ctx context.Context) error {
	var o options
	flag.IntVar(&o.processes, "processes", 40, "Envoys, one after another: where their memory comes to lie makes a difference")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds with each; in a round, every filter has a slice for every kind of request")
	flag.DurationVar(&o.slice, "slice", 60*time.Millisecond, "length of a slice")
	flag.IntVar(&o.connections, "connections", 16, "connections, each with one request under way")
	flag.IntVar(&o.pushes, "pushes", 5, "pushes of each module that count; one more is not counted; 0 leaves modules out")
	flag.IntVar(&o.vms, "vms", 8, "workers more, to tell the memory of a VM by")
	flag.BoolVar(&o.bare, "bare", false, "requests have no headers but Host and the token, rather than those of curl")
	flag.StringVar(&o.also, "also", "", "more modules, files with commas between: for who looks for what costs how much")
	flag.Parse()
	b, err := newBench(ctx, o.also)
	defer b.End()
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "measuring requests")
	if err := b.measure(ctx, o); err != nil {
		return err
	}
	b.report(o)
	var modules []module
	if o.pushes > 0 {
		fmt.Fprintln(os.Stderr, "measuring modules")
		if modules, err = b.modules(ctx, o); err != nil {
			return err
		}
		reportModules(modules)
	}
	if err := b.tutorialsWorst(ctx); err != nil {
		return err
	}
	b.targets(modules)
	return nil
}

// bench is the modules and an Envoy with each.
type bench struct {
	rig.Ends

	dir   string
	envoy string
	sides []*side
	lanes []*lane
}

func newBench(ctx context.Context, also string) (*bench, error) {
	b := &bench{}
	var err error
	if b.dir, err = b.Folder(); err != nil {
		return b, err
	}
	if b.envoy, err = rig.FindEnvoy(ctx); err != nil {
		return b, err
	}
	if b.sides, err = buildSides(ctx, b.dir); err != nil {
		return b, err
	}
	for _, file := range strings.FieldsFunc(also, func(r rune) bool { return r == ',' }) {
		b.sides = append(b.sides, &side{name: filepath.Base(file), wasm: file, also: true})
	}
	return b, nil
}
