package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
)

// Listeners are the addresses, each 127.0.0.1:port, of its listeners with a socket, by their names,
// as its admin interface has them at the moment.
func (p *Proxy) Listeners(ctx context.Context) (map[string]string, error) {
	admin, err := p.Admin(ctx)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/listeners?format=json", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking Envoy %s for its listeners: %w", p.Node, err)
	}
	defer resp.Body.Close() //nolint:errcheck // read
	var page struct {
		Statuses []struct {
			Name    string `json:"name"`
			Address struct {
				Socket struct {
					Port int `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return nil, fmt.Errorf("reading the listeners of Envoy %s: %w", p.Node, err)
	}
	addresses := map[string]string{}
	for _, s := range page.Statuses {
		if port := s.Address.Socket.Port; port != 0 {
			addresses[s.Name] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		}
	}
	return addresses, nil
}
