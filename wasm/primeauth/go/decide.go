package main

import "math"

// A verdict says whether a token lets its request through and, if not, why.
// Its text names the reason in metrics; it never holds the token.
type verdict string

const (
	allowed    verdict = "allowed"
	missing    verdict = "missing"     // no such header, or an empty one
	notDecimal verdict = "not_decimal" // anything but the digits 0-9
	tooLarge   verdict = "too_large"   // over 64 bits
	notPrime   verdict = "not_prime"
)

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
