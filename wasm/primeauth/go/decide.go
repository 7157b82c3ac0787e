package main

import (
	"math"
	"slices"
	"strings"
)

// A verdict says whether a request passes and, if not, why. It never holds the token.
type verdict int

const (
	allowed    verdict = iota // the token is prime
	exempt                    // the path needs none
	missing                   // no such header, or an empty one
	repeated                  // the header is there twice
	notDecimal                // anything but the digits 0-9
	tooLarge                  // over 64 bits
	notPrime
	verdicts // how many there are
)

var verdictNames = [verdicts]string{"allowed", "exempt", "missing", "repeated", "not_decimal", "too_large", "not_prime"}

func (v verdict) String() string { return verdictNames[v] }

func (v verdict) denied() bool { return v > exempt }

// judge decides on a request by its headers, pseudo-headers included.
func (c *config) judge(headers [][2]string) verdict {
	token, tokens := "", 0
	for _, h := range headers {
		switch h[0] {
		case c.header:
			token = h[1]
			tokens++
		case ":path":
			if slices.Contains(c.allowPaths, withoutQuery(h[1])) {
				return exempt
			}
		}
	}
	if tokens > 1 {
		return repeated
	}
	return decide(token)
}

// decide judges a token.
func decide(token string) verdict {
	n, v := parseToken(token)
	if v != allowed {
		return v
	}
	if !isPrime(n) {
		return notPrime
	}
	return allowed
}

// parseToken reads an unsigned decimal number of any length, leading zeros
// allowed. Unlike strconv it tells "not a number" from "too large" without
// allocating an error.
func parseToken(token string) (uint64, verdict) {
	if token == "" {
		return 0, missing
	}
	n, overflow := uint64(0), false
	for i := range len(token) {
		digit := uint64(token[i] - '0')
		if digit > 9 {
			return 0, notDecimal
		}
		overflow = overflow || n > (math.MaxUint64-digit)/10
		n = n*10 + digit
	}
	if overflow {
		return 0, tooLarge
	}
	return n, allowed
}

// withoutQuery is the path of a request target.
func withoutQuery(target string) string {
	path, _, _ := strings.Cut(target, "?")
	return path
}
