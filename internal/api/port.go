package api

// Port is the xDS port, and how it is guarded.
type Port struct {
	Address  string   `json:"address"`
	Security Security `json:"security"`
}

// A Security is how the xDS port knows who connects.
type Security string

// What guards it.
const (
	SecurityLocal    Security = "local"              // plain text, to this machine alone: loopback or a Unix socket
	SecurityInsecure Security = "insecure-plaintext" // plain text to anyone, as --insecure-plaintext asks for
)
