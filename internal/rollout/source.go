package rollout

// A Source is who has given a command: not who they say they are (By), but what they have shown.
type Source struct {
	Identity string `json:"identity,omitempty"` // name of a token, name in a certificate, user of this machine; "": nobody knows
	How      string `json:"how"`                // how it was shown: socket, loopback, token, certificate
	Address  string `json:"address,omitempty"`  // where from: HOST:PORT, or the process
}

// String is the source for people.
func (s *Source) String() string {
	if s == nil {
		return ""
	}
	text := s.How
	for _, more := range []string{s.Identity, s.Address} {
		if more != "" {
			text += " " + more
		}
	}
	return text
}
