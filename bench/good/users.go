package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxwing-xds/waxwing/internal/rig"
)

// usersOfProxy ask each proxy: two keep their connections, one makes a new one for each request, and one
// asks the listener with TLS.
const usersOfProxy = 4

// users ask the proxies, all of them together so many times a second for each proxy.
type users struct {
	*rig.Load

	mu       sync.Mutex
	statuses map[int]int
	took     []time.Duration
}

// requests are what users ask, one of them in so many of a hundred.
var requests = []struct {
	share       int
	path, token string
	want        int
}{
	{70, "/page", "32323", http.StatusOK},
	{5, "/page", "", http.StatusForbidden},
	{10, "/page", "323232", http.StatusForbidden},
	{10, "/missing", "32323", http.StatusNotFound},
	{5, "/moved", "32323", http.StatusFound},
}

// client follows no redirect, and waits for longer than a starved machine takes.
func client(anew bool) *http.Client {
	return &http.Client{
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableKeepAlives: anew, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}
}

func (w *world) startUsers(ctx context.Context, rate float64) *users {
	u := &users{statuses: map[int]int{}}
	var askers []rig.Asker
	for _, p := range w.proxies {
		for i := range usersOfProxy {
			url := "http://" + p.ingress
			if i == 0 {
				url = "https://" + p.secure
			}
			askers = append(askers, u.asker(ctx, client(i < 2), url, rate/usersOfProxy))
		}
	}
	u.Load = rig.StartLoad(askers...)
	w.Add(func() { u.End() })
	return u
}

// asker asks one listener for what users ask, by chance, and at times as far apart as those of
// people who know nothing of one another.
func (u *users) asker(ctx context.Context, client *http.Client, url string, rate float64) rig.Asker {
	return func(int) error {
		pause(ctx, time.Duration(rand.ExpFloat64()/rate*float64(time.Second)))
		if ctx.Err() != nil {
			return rig.ErrLeaves
		}
		pick, asked := rand.IntN(100), requests[0]
		for _, asked = range requests {
			if pick -= asked.share; pick < 0 {
				break
			}
		}
		began := time.Now()
		req, err := rig.Request(context.WithoutCancel(ctx), url+asked.path, "token", asked.token)
		if err != nil {
			return err
		}
		a, err := rig.Do(client, req)
		u.note(a.Status, time.Since(began))
		if err == nil && a.Status != asked.want {
			err = fmt.Errorf("%s%s with token %q: %d, want %d: %s", url, asked.path, asked.token, a.Status, asked.want, a.Body)
		}
		return err
	}
}

// note counts an answer; status 0 is none.
func (u *users) note(status int, took time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.statuses[status]++
	u.took = append(u.took, took)
}

// String is what they were answered, and how fast.
func (u *users) String() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var out []string
	for _, status := range slices.Sorted(maps.Keys(u.statuses)) {
		out = append(out, fmt.Sprintf("%d × %d", u.statuses[status], status))
	}
	slices.Sort(u.took)
	at := func(percent int) time.Duration {
		return u.took[min(len(u.took)*percent/100, len(u.took)-1)].Round(time.Millisecond / 10)
	}
	return fmt.Sprintf("answers: %s; median %s, 99th percentile %s, longest %s", strings.Join(out, ", "), at(50), at(99), at(100))
}

// starve runs this program so many times more, each with a processor to keep busy.
func (w *world) starve(ctx context.Context, n int) error {
	for range n {
		p, err := rig.StartPart(ctx, "-spin")
		if err != nil {
			return err
		}
		w.Add(p.Kill)
	}
	return nil
}

// spin keeps a processor busy until the one that started it is gone, and for two hours at most.
func spin() error {
	time.AfterFunc(2*time.Hour, func() { os.Exit(1) })
	go func() {
		for n := uint64(0); ; n++ {
			spun.Store(n)
		}
	}()
	return rig.Obey(func(c struct{}) (struct{}, error) { return c, nil })
}

var spun atomic.Uint64

// load is the load average of the machine, where it tells.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(text)); err == nil && len(f) > 3 {
		return strings.Join(f[:3], " ")
	}
	return "unknown"
}
