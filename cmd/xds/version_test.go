package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestVersionLine(t *testing.T) {
	checkout := &debug.BuildInfo{
		Main: debug.Module{Version: "v0.2.0"},
		Deps: []*debug.Module{{Path: "github.com/envoyproxy/go-control-plane/envoy", Version: "v1.40.0"}},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0c971e98"}, {Key: "vcs.time", Value: "2026-11-26T07:09:03Z"}, {Key: "vcs.modified", Value: "true"},
		},
	}
	rest := ", " + runtime.Version() + ", Envoy API "
	here := " " + runtime.GOOS + "/" + runtime.GOARCH + ", commit "
	for name, c := range map[string]struct {
		info                  *debug.BuildInfo
		version, commit, date string // by the linker
		want                  string
	}{
		"a checkout": {info: checkout, want: "xds v0.2.0" + here + "0c971e98 of 2026-11-26T07:09:03Z with changes" + rest + "v1.40.0"},
		"a release": {
			info: checkout, version: "1.2.3", commit: "abc", date: "2026-12-01T00:00:00Z",
			want: "xds 1.2.3" + here + "abc of 2026-12-01T00:00:00Z" + rest + "v1.40.0",
		},
		"nothing known": {info: &debug.BuildInfo{}, want: "xds dev" + here + "unknown" + rest + "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			version, commit, date = c.version, c.commit, c.date
			t.Cleanup(func() { version, commit, date = "", "", "" })
			if got := versionLine(c.info); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
