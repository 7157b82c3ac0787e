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
	header       string // the request header that holds the token, in lower case
	deniedStatus uint32 // the HTTP status of a denied request
}

const deniedBody = "Access forbidden.\n"

// parseConfig reads a plugin configuration; an empty one means the defaults.
// Its errors name keys and rules, never values.
func parseConfig(data []byte) (config, error) {
	c := config{header: "token", deniedStatus: 403}
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
func (c *config) set(key string, v *fastjson.Value) error {
	switch key {
	case "header":
		name, err := v.StringBytes()
		if err != nil || !isHeaderName(name) {
			return errors.New("not an HTTP header name")
		}
		c.header = strings.ToLower(string(name))
	case "denied_status":
		status, err := v.Uint()
		if err != nil || status < 400 || status > 599 {
			return errors.New("not a number from 400 to 599")
		}
		c.deniedStatus = uint32(status)
	default:
		return errors.New("unknown key")
	}
	return nil
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
