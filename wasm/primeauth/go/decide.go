package main

import (
	"math"
	"strings"
)

// A verdict says whether a request passes and, if not, why. It never holds the token.
type verdict int

const (
	allowed    verdict = iota // the token is prime
	exempt                    // the path needs none
	missing                   // no such header, or an empty one
	notDecimal                // anything but the digits 0-9
	tooLarge                  // over 64 bits
	notPrime
	verdicts // how many there are
)

var verdictNames = [verdicts]string{"allowed", "exempt", "missing", "not_decimal", "too_large", "not_prime"}

func (v verdict) String() string { return verdictNames[v] }

func (v verdict) denied() bool { return v > exempt }

// decide judges a token. A token given twice reaches it joined by a comma, as
// Envoy joins repeated headers, and is not decimal.
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
