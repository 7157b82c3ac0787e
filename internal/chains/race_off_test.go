//go:build !race

package chains

const chainsByDefault = 1000
