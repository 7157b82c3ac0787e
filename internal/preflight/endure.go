package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Bounds of what is asked without being told.
const (
	// hostilePatience is how long the filter may work for all of it: one that is too slow to
	// be asked everything is not refused for that.
	hostilePatience = 3 * time.Second
	// maxWarnings is after how many failures that are no refusal the rest is left.
	maxWarnings = 8
)

// ordeal is the hostile requests of one filter: what is asked, and what came of it.
type ordeal struct {
	sandbox *Sandbox
	program *program
	plugin  settings
	tried   Plugin
	log     *logbook
	list    []exchange
	report  *Report
	left    time.Duration // of hostilePatience
}

// endure asks a filter the hostile requests, in a VM that has answered its checks. No
// status is expected; what it may not do is trap, loop, pause for ever, keep memory of each
// request, or answer its checks otherwise than before.
func (s *Sandbox) endure(ctx context.Context, v *vm, program *program, plugin settings, p Plugin, log *logbook) (Report, error) {
	var report Report
	if p.Hostile.Off {
		return report, nil
	}
	o := &ordeal{
		sandbox: s, program: program, plugin: plugin, tried: p, log: log, report: &report,
		list: leaveOut(hostile(p.Checks), p.Hostile.Leave), left: hostilePatience,
	}
	for at := 0; at < len(o.list); {
		failed, err := o.ask(ctx, v, at)
		if err == nil {
			break
		}
		if err := o.judge(ctx, failed, err); err != nil {
			return report, err
		}
		if len(report.Warnings) >= maxWarnings || failed+1 >= len(o.list) {
			return report, nil
		}
		fresh, err := start(ctx, program, plugin, v.limits, log, newStore())
		if err != nil {
			return report, err
		}
		defer fresh.close(ctx)
		v, at = fresh, failed+1
	}
	return report, o.after(ctx, v)
}

func leaveOut(list []exchange, names []string) []exchange {
	return slices.DeleteFunc(list, func(x exchange) bool { return slices.Contains(names, x.name) })
}

// ask asks from a place of the list on, and returns where it failed.
func (o *ordeal) ask(ctx context.Context, v *vm, from int) (failed int, err error) {
	for i, x := range o.list[from:] {
		if o.left <= 0 {
			o.report.Left = len(o.list) - from - i
			return 0, nil
		}
		o.report.Hostile++
		before := v.worked
		_, err := v.endure(ctx, x)
		o.left -= v.worked - before
		if err != nil {
			return from + i, err
		}
	}
	return 0, nil
}

// judge makes of a failure a refusal, or a warning: where the fleet file wants no more, and
// where what is served fails in the same way: the next one is no worse.
func (o *ordeal) judge(ctx context.Context, failed int, err error) error {
	refused := (*Error)(nil)
	if !errors.As(err, &refused) {
		return err
	}
	if refused.slow && o.program.engine == interpreted {
		return refused // no verdict yet
	}
	refused.steps = o.list[failed : failed+1]
	if o.fails(ctx, o.tried, refused.steps) == nil {
		refused.steps = o.list[:failed+1] // not by itself: it takes what came before
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case o.tried.Hostile.Warn:
		refused.Reason += " (no refusal: `hostile: warn`)"
	case o.tried.Served == nil:
		return refused
	default:
		served, err := o.tried.Served()
		if err != nil {
			refused.Reason += fmt.Sprintf(" (what is served is not compared: %v)", err)
			return refused
		}
		if o.fails(ctx, served, refused.steps) == nil {
			return refused
		}
		refused.Reason += " (no refusal: what is served does so too)"
	}
	o.report.Warnings = append(o.report.Warnings, refused)
	return nil
}

// fails asks a plugin requests in a VM of its own, and returns how it fails them. One that
// does not even start fails in another way: nil.
func (o *ordeal) fails(ctx context.Context, p Plugin, steps []exchange) error {
	v, err := o.sandbox.alone(ctx, p)
	if err != nil {
		return nil
	}
	defer v.close(ctx)
	for _, x := range steps {
		if _, err := v.endure(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

// after looks at a VM that has had it all: what it keeps, and what it answers.
func (o *ordeal) after(ctx context.Context, v *vm) error {
	if err := v.grows(ctx, o.tried.Checks, v.worked+o.left); err != nil {
		return o.judge(ctx, len(o.list)-1, err)
	}
	for _, c := range o.tried.Checks {
		if err := v.ask(ctx, c); err != nil {
			e := (*Error)(nil)
			if !errors.As(err, &e) {
				return err
			}
			e.Step, e.Line, e.Check = StepHostile, 0, ""
			e.Reason = fmt.Sprintf("after the hostile requests it answers %s %s otherwise: %s", c.Method, c.Path, e.Reason)
			return o.judge(ctx, len(o.list)-1, e)
		}
	}
	return nil
}

// endure takes an exchange through the filter, to its end or to where the client is gone,
// and tells what the client got.
func (v *vm) endure(ctx context.Context, x exchange) (got string, err error) {
	v.log.reset()
	v.step, v.left = StepHostile, checkCalls*v.limits.Call
	one := v.limits.Call
	v.limits.Call *= checkCalls // so much may be asked at once that it is slow for a good reason
	defer func() { v.limits.Call = one }()
	got, err = v.under(ctx, x)
	if e := (*Error)(nil); errors.As(err, &e) {
		e.Check = "hostile request " + x.String()
	}
	return got, err
}

func (v *vm) under(ctx context.Context, x exchange) (got string, err error) {
	under := []*passage{v.begun(x)}
	if x.beside != nil {
		under = append(under, v.begun(*x.beside))
	}
	for n, more := 1, true; more; n++ {
		more = false
		for _, p := range under {
			if p.over {
				continue
			}
			if err := p.next(ctx); err != nil {
				return "", err
			}
			more = more || !p.over
		}
		if n == x.stops {
			break
		}
	}
	for _, p := range under {
		if err := p.finish(ctx); err != nil {
			return "", err
		}
	}
	if got = under[0].got; !under[0].over {
		got = "nothing, the client was gone"
	}
	return got, nil
}

func (v *vm) begun(x exchange) *passage {
	p := v.passage(x.request, x.response)
	p.messages[requestStream].headers = p.s.fill(x.request.headers)
	if x.bare {
		p.messages[requestStream].headers.remove("user-agent") // the others are Envoy's own
	}
	return p
}

// How it is told that a VM keeps memory of each request. Memory that is collected grows too,
// up to where it is collected, and in steps of some megabytes in Go: a VM is suspected when
// it has grown by half of what it was sent, and sent so much more then that no collector
// would wait.
const (
	growthRequests = 96
	suspected      = 5 // times as many
	growthBytes    = 56 << 10
)

func (v *vm) grows(ctx context.Context, checks []fleet.Check, ends time.Duration) error {
	base := baseOf(checks)
	x := base.with("long-header", "again and again", func(x *exchange) {
		x.request.headers.add("x-hostile", string(make([]byte, growthBytes)))
	})
	if err := v.repeat(ctx, x, growthRequests/4, ends); err != nil { // what it keeps once
		return err
	}
	before, sent := v.memory.held(), 0
	for _, n := range []int{growthRequests, suspected * growthRequests} {
		if err := v.repeat(ctx, x, n, ends); err != nil {
			return err
		}
		sent += n * growthBytes
		if v.worked > ends || v.memory.held() < before+uint64(sent)/2 {
			return nil
		}
	}
	e := v.refused("its memory grows with each request: by %d MiB in requests of %d MiB", (v.memory.held()-before)>>20, sent>>20)
	e.Check = "hostile request " + x.String()
	return e
}

func (v *vm) repeat(ctx context.Context, x exchange, n int, ends time.Duration) error {
	for range n {
		if v.worked > ends {
			return nil
		}
		if _, err := v.endure(ctx, x); err != nil {
			return err
		}
	}
	return nil
}
