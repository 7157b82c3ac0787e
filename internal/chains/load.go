package chains

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// load sends requests to every place all the time, each on a connection of its own, so
// that each meets the listener as it is at that moment.
type load struct {
	setting Setting
	stop    chan struct{}
	workers sync.WaitGroup

	mu         sync.Mutex
	transition Transition
	counted    Count
	unexpected []string
}

func newLoad(setting Setting) *load { return &load{setting: setting} }

// pace is the time between two requests to a place.
const pace = 4 * time.Millisecond

func (l *load) begin() {
	l.stop = make(chan struct{})
	for place := 1; place <= Places; place++ {
		l.workers.Go(func() { l.work(place) })
	}
}

func (l *load) end() {
	if l.stop != nil {
		close(l.stop)
		l.workers.Wait()
		l.stop = nil
	}
}

func (l *load) between(t Transition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.transition = t
}

func (l *load) now() Transition {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.transition
}

func (l *load) work(place int) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-l.stop:
			return
		}
		t := l.now()
		if t.Before == nil {
			continue
		}
		requests := t.Requests(place)
		if len(requests) == 0 {
			continue
		}
		r := requests[i%len(requests)]
		got, err := l.ask(t, place, r)
		l.note(t, place, r, got, err)
	}
}

// note judges an answer by the change that was under way when it was asked or, if that has
// ended meanwhile, when it came.
func (l *load) note(t Transition, place int, r Request, got Answer, err error) {
	wrong := t.Explain(place, r, got)
	if wrong != "" {
		later := l.now()
		if later != t && later.Explain(place, r, got) == "" {
			t, wrong = later, ""
		}
	}
	before, after := t.Before.Answer(place, r), t.After.Answer(place, r)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counted.Requests++
	switch {
	case wrong != "":
		l.counted.Failed++
		if text := fmt.Sprintf("place %d, %+v: %s: %v", place, r, wrong, err); len(l.unexpected) < 10 && !slices.Contains(l.unexpected, text) {
			l.unexpected = append(l.unexpected, text)
		}
	case got.Status == 0 && before.Status != 0 && after.Status != 0:
		l.counted.Refused++
	case got != before && got != after:
		l.counted.Between++
	}
}

// wrong are the first requests that nothing explains, nil if there is none.
func (l *load) wrong() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.unexpected) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d requests failed: %s", l.counted.Failed, l.counted.Requests, strings.Join(l.unexpected, "\n"))
}

func (l *load) count(changes int) Count {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counted
	c.Changes = changes
	return c
}

// rounds is how often in a row all places must answer as they should: a worker takes what
// the main thread has accepted a moment later.
const rounds = 5

// agrees says what is not answered as the fleet says.
func (l *load) agrees(f *Fleet) error {
	same := Transition{f, f}
	for range rounds {
		for place := 1; place <= Places; place++ {
			for _, r := range same.Requests(place) {
				if got, err := l.ask(same, place, r); got != f.Answer(place, r) {
					return fmt.Errorf("place %d, %+v: answer %+v, want %+v: %w", place, r, got, f.Answer(place, r), err)
				}
			}
		}
	}
	return nil
}

var errDifferent = errors.New("answered otherwise")

// ask sends a request; an answer without a status comes with the reason.
func (l *load) ask(t Transition, place int, r Request) (Answer, error) {
	at := t.After.At(place)
	if at == nil || at.TLS != r.TLS {
		if before := t.Before.At(place); before != nil {
			at = before
		}
	}
	a, err := l.roundTrip(at, place, r)
	if err == nil {
		err = errDifferent
	}
	return a, err
}

func (l *load) roundTrip(at *Listener, place int, r Request) (Answer, error) {
	transport := &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test looks at the certificate itself
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			if at.Kind == Pipe {
				return d.DialContext(ctx, "unix", l.setting.Path(place))
			}
			return d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", l.setting.Port(place)))
		},
		Protocols: &http.Protocols{},
	}
	defer transport.CloseIdleConnections()
	scheme := "http"
	if r.TLS {
		scheme = "https"
	}
	transport.Protocols.SetHTTP1(at.Kind != HTTP2)
	transport.Protocols.SetHTTP2(at.Kind == HTTP2)
	transport.Protocols.SetUnencryptedHTTP2(at.Kind == HTTP2)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://chains.test/", nil)
	if err != nil {
		return Answer{}, err
	}
	for name, value := range r.Headers() {
		req.Header.Set(name, value)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // nothing of it is read
	a := Answer{Status: resp.StatusCode, Mark: resp.Header.Get(MarkHeader), Backend: resp.Header.Get(BackendHeader)}
	if resp.TLS != nil {
		a.Cert = int(resp.TLS.PeerCertificates[0].SerialNumber.Int64())
	}
	return a, nil
}
