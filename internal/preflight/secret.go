package preflight

import (
	"errors"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// logbook keeps what a filter logs. Where its configuration is a secret it keeps nothing: no
// one knows in how many ways a module can write what it was told.
func (p Plugin) logbook() *logbook {
	l := newLogbook(secrets(p.Checks))
	l.silent = p.Secret
	return l
}

// hider takes out what else may quote a configuration that is a secret: names of clusters, say.
func (p Plugin) hider() fleet.Hider {
	if !p.Secret {
		return fleet.Hider{}
	}
	plugin, errPlugin := content(p.Config.GetConfiguration())
	vm, errVM := content(p.Config.GetVmConfig().GetConfiguration())
	if errors.Join(errPlugin, errVM) != nil {
		return fleet.Hider{} // it was not started
	}
	return fleet.NewHider(plugin, vm)
}

// conceal has no secret of the configuration in what came of a try, and bounds what is said there.
func (p Plugin) conceal(report Report, err error) {
	h := p.hider()
	for _, w := range report.Warnings {
		w.conceal(h)
	}
	for _, o := range report.Outcomes {
		if o.Err != nil {
			o.Err.conceal(h)
		}
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		e.conceal(h)
	}
}

func (e *Error) conceal(h fleet.Hider) {
	e.Reason, e.Expected, e.Got = h.Hide(e.Reason), h.Hide(e.Expected), h.Hide(e.Got)
	e.bound()
}
