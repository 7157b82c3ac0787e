package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/valyala/fastjson"
)

// config is the plugin configuration, a JSON object. Each key is optional; an
// unknown one is refused, so that a misspelt name can't weaken the filter.
//
// fastjson rather than encoding/json, whose reflection makes the module half as
// large again, and an Envoy's compile of it half as long again.
type config struct {
	header         string   // the request header that holds the token, in lower case
	deniedStatus   uint32   // the HTTP status of a denied request
	deniedBody     []byte   // and its body
	removeHeader   bool     // take the token off before the service sees the request
	allowPaths     []string // paths that need no token, compared without the query
	responseHeader string   // a response header that names the filter; "" for none
}

func defaultConfig() config {
	return config{header: "token", deniedStatus: 403, deniedBody: []byte("Access forbidden.\n")}
}

// parseConfig reads a plugin configuration; an empty one means the defaults.
// Its errors name keys and rules, never values.
func parseConfig(data []byte) (config, error) {
	c := defaultConfig()
	if len(bytes.TrimSpace(data)) == 0 {
		return c, nil
	}
	v, err := fastjson.ParseBytes(data)
	if err != nil {
		return config{}, errors.New("plugin configuration: not valid JSON")
	}
	object, err := v.Object()
	if err != nil {
		return config{}, errors.New("plugin configuration: not a JSON object")
	}
	object.Visit(func(key []byte, v *fastjson.Value) {
		if e := c.set(string(key), v); e != nil && err == nil {
			err = fmt.Errorf("plugin configuration: %s: %w", key, e)
		}
	})
	return c, err
}

// set takes one key of the configuration.
func (c *config) set(key string, v *fastjson.Value) (err error) {
	switch key {
	case "header":
		c.header, err = headerName(v)
	case "denied_status":
		status, e := v.Uint()
		if e != nil || status < 400 || status > 599 {
			return errors.New("not a number from 400 to 599")
		}
		c.deniedStatus = uint32(status)
	case "denied_body":
		body, e := v.StringBytes()
		if e != nil {
			return errors.New("not a string")
		}
		c.deniedBody = bytes.Clone(body)
	case "remove_header":
		if c.removeHeader, err = v.Bool(); err != nil {
			return errors.New("not true or false")
		}
	case "allow_paths":
		c.allowPaths, err = paths(v)
	case "response_header":
		c.responseHeader, err = headerName(v)
	default:
		return errors.New("unknown key")
	}
	return err
}

// headerName reads an HTTP header's name, in lower case.
func headerName(v *fastjson.Value) (string, error) {
	name, err := v.StringBytes()
	if err != nil || !isHeaderName(name) {
		return "", errors.New("not an HTTP header name")
	}
	return strings.ToLower(string(name)), nil
}

// paths reads a list of absolute paths. They are compared as a whole: a prefix
// would let /public/../private in.
func paths(v *fastjson.Value) ([]string, error) {
	list, err := v.Array()
	if err != nil {
		return nil, errors.New("not a list of paths")
	}
	var out []string
	for _, item := range list {
		path, err := item.StringBytes()
		if err != nil || !bytes.HasPrefix(path, []byte("/")) || bytes.ContainsAny(path, "?#") {
			return nil, errors.New("not a list of absolute paths without a query")
		}
		out = append(out, string(path))
	}
	return out, nil
}

// isHeaderName reports whether name is a token of RFC 9110 section 5.6.2.
func isHeaderName(name []byte) bool {
	for _, c := range name {
		alnum := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !alnum && !bytes.ContainsRune([]byte("!#$%&'*+-.^_`|~"), rune(c)) {
			return false
		}
	}
	return len(name) > 0
}
