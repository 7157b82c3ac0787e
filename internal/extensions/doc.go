// Package extensions registers every message of the Envoy API that
// go-control-plane has, and those of other APIs that Envoy's own loader knows, so
// that a fleet file may use any extension that Envoy's documentation shows: an Any
// is resolved by the global registry of message types.
//
// It is a package of its own because linking it costs some 40 MB: the server
// imports it, the packages that only handle what was parsed do not.
package extensions

//go:generate go run gen.go
