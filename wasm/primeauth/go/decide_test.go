package main

import (
	"strings"
	"testing"
)

func TestDecide(t *testing.T) {
	for token, want := range map[string]verdict{
		"32323":                allowed,
		"323232":               notPrime,
		"2":                    allowed,
		"0":                    notPrime,
		"1":                    notPrime,
		"007":                  allowed, // a leading zero changes no number
		"18446744073709551557": allowed, // the largest prime below 2^64
		"18446744073709551615": notPrime,
		"18446744073709551616": tooLarge,
		"":                     missing,
		"+7":                   notDecimal,
		"-7":                   notDecimal,
		" 7":                   notDecimal,
		"7 ":                   notDecimal,
		"7,7":                  notDecimal,
		"0x7":                  notDecimal,
		"7.0":                  notDecimal,
		"٧":                    notDecimal,
	} {
		if got := decide(token); got != want {
			t.Errorf("decide(%q) = %s, want %s", token, got, want)
		}
	}
	if got := decide(strings.Repeat("7", 10_000)); got != tooLarge {
		t.Errorf("10,000 digits: %s, want %s", got, tooLarge)
	}
	if got := decide(strings.Repeat("7", 10_000) + "x"); got != notDecimal {
		t.Errorf("10,000 digits and a letter: %s, want %s", got, notDecimal)
	}
}

func TestJudge(t *testing.T) {
	c := defaultConfig()
	c.allowPaths = []string{"/healthz"}
	for want, headers := range map[verdict][][2]string{
		allowed:  {{":method", "GET"}, {":path", "/"}, {"token", "7"}, {"x-token", "4"}},
		missing:  {{":path", "/"}, {"tokens", "7"}},
		notPrime: {{":path", "/"}, {"token", "4"}},
		repeated: {{":path", "/"}, {"token", "7"}, {"token", "7"}},
		exempt:   {{"token", "4"}, {":path", "/healthz?x"}},
	} {
		if got := c.judge(headers); got != want {
			t.Errorf("%v: %s, want %s", headers, got, want)
		}
	}
}
