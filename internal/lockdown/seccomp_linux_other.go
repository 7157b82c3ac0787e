//go:build linux && !amd64 && !arm64

package lockdown

const arch = 0

var callsHere []uint32
