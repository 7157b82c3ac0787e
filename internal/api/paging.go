package api

import (
	"context"
	"errors"
	"iter"
	"net/url"
)

// ProxyQuery says which proxies are asked for.
type ProxyQuery struct {
	Fleet string // those of one fleet, and those on their way to it; "" for all
	After string // those after this node id; "" for the first
	Limit int    // how many at most, up to MaxLimit; 0 for DefaultLimit
}

func (q ProxyQuery) values() url.Values {
	values := url.Values{}
	for name, value := range map[string]string{ParamFleet: q.Fleet, ParamAfter: q.After} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if q.Limit != 0 {
		values.Set(ParamLimit, limit(q.Limit))
	}
	return values
}

// Status is the fleets and all connected proxies. Where these are more than a page, the
// later ones are as they are a moment later.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	if err := c.get(ctx, PathStatus, url.Values{ParamLimit: {limit(MaxLimit)}}, &s); err != nil || s.Next == "" {
		return s, err
	}
	for p, err := range c.Proxies(ctx, ProxyQuery{After: s.Next, Limit: MaxLimit}) {
		if err != nil {
			return s, err
		}
		s.Proxies = append(s.Proxies, p)
	}
	s.Next = ""
	return s, nil
}

// Fleets is the status without proxies.
func (c *Client) Fleets(ctx context.Context) (s Status, err error) {
	err = c.get(ctx, PathStatus, url.Values{ParamLimit: {limit(0)}}, &s)
	return s, err
}

// ProxyPage is one page of the connected proxies.
func (c *Client) ProxyPage(ctx context.Context, q ProxyQuery) (page ProxyPage, err error) {
	err = c.get(ctx, PathProxies, q.values(), &page)
	return page, err
}

// errSamePage is a server that would have its client ask for ever.
var errSamePage = errors.New("a page of proxies names itself as the next one")

// Proxies are the connected proxies from q.After on, asked for page by page of q.Limit.
// It ends with an error, or behind the last.
func (c *Client) Proxies(ctx context.Context, q ProxyQuery) iter.Seq2[Proxy, error] {
	return func(yield func(Proxy, error) bool) {
		for {
			page, err := c.ProxyPage(ctx, q)
			if err == nil && page.Next != "" && page.Next <= q.After {
				err = errSamePage
			}
			if err != nil {
				yield(Proxy{}, err)
				return
			}
			for _, p := range page.Proxies {
				if !yield(p, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.After = page.Next
		}
	}
}
