package primeauth

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
)

// The Rust filter's own tests, and its primes against math/big's. Without cargo
// this fails: a filter that is not tested is not shipped.
func TestRust(t *testing.T) {
	if _, err := exec.LookPath("cargo"); err != nil {
		t.Fatal("the Rust filter's tests need cargo: by rustup, or on Debian: apt install rustc-web cargo-web rust-web-src lld")
	}
	// Its examples are built as well.
	if out, err := rust(nil, "cargo", "test", "--quiet", "--locked").CombinedOutput(); err != nil {
		t.Fatalf("cargo test: %v\n%s", err, out)
	}
	t.Run("a million numbers", func(t *testing.T) {
		numbers := randomNumbers(1_000_000)
		answers, err := rust(numbers, "target/debug/examples/primes").Output()
		if err != nil || len(answers) != len(numbers)/8 {
			t.Fatalf("%d answers, %v", len(answers), err)
		}
		for i, answer := range answers {
			n := binary.LittleEndian.Uint64(numbers[8*i:])
			// ProbablyPrime(0) is exact below 2^64.
			if want := new(big.Int).SetUint64(n).ProbablyPrime(0); (answer == 1) != want {
				t.Fatalf("is_prime(%d) is %d, want %v", n, answer, want)
			}
		}
	})
}

// rust runs a command in the crate's folder.
func rust(input []byte, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdin = "rust", bytes.NewReader(input)
	cmd.Env = append(os.Environ(), "CARGO_TARGET_DIR=target")
	return cmd
}

// randomNumbers are of all sizes, eight bytes each.
func randomNumbers(n int) []byte {
	out := make([]byte, 0, 8*n)
	for range n {
		out = binary.LittleEndian.AppendUint64(out, rand.Uint64()>>rand.UintN(64))
	}
	return out
}
