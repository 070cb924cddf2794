package main

import (
	"bytes"
	"math/big"
	"strings"
	"testing"
)

// TestEncodings checks the examples of RFC 8120 section 12.1.
func TestEncodings(t *testing.T) {
	for n, want := range map[int64]string{0: "\000", 100: "d", 127: "\177", 128: "\201\000", 10000: "\316\020", 1000000: "\275\204@"} {
		if got := variableInteger(big.NewInt(n)); string(got) != want {
			t.Errorf("VI(%d) = %q", n, got)
		}
	}
	if got := variableInteger(new(big.Int).Lsh(one, 80)); len(got) != 12 || got[0] != 0x88 {
		t.Errorf("VI(2^80) = %x", got)
	}
	long := strings.Repeat("a", 10000)
	for s, want := range map[string]string{"": "\000", "Tea": "\003Tea", "Café": "\005Caf\303\251", long: "\316\020" + long} {
		if got := variableString([]byte(s)); string(got) != want {
			t.Errorf("VS(%.10q) = %.20q", s, got)
		}
	}
	if _, err := octets(big.NewInt(256), 1); err == nil {
		t.Error("OCTETS accepted a number that is too long")
	}
	if got, _ := octets(big.NewInt(256), 3); !bytes.Equal(got, []byte{0, 1, 0}) {
		t.Errorf("OCTETS(256) = %x", got)
	}
}

// TestPrimes computes the primes from the formulas of RFC 3526.
func TestPrimes(t *testing.T) {
	for _, c := range []struct {
		prime        string
		bits, offset int64
	}{{prime2048, 2048, 124476}, {prime4096, 4096, 240904}} {
		// The formula is p = 2^n - 2^(n-64) - 1 + 2^64 * (floor(2^(n-130) * pi) + offset).
		middle := scaledPi(uint(c.bits - 130))
		middle.Add(middle, big.NewInt(c.offset)).Lsh(middle, 64)
		want := new(big.Int).Lsh(one, uint(c.bits))
		want.Sub(want, new(big.Int).Lsh(one, uint(c.bits-64))).Sub(want, one).Add(want, middle)
		g := newMODPGroup(c.prime)
		if g.q.Cmp(want) != 0 {
			t.Errorf("the prime of %d bits is wrong", c.bits)
		}
		if g.power(g.generator(), g.r).x.Cmp(one) != 0 {
			t.Errorf("the order of the generator modulo the prime of %d bits is wrong", c.bits)
		}
		if g.minimumSecret().Int64() != c.bits {
			t.Errorf("the minimum of S_c1 is %v", g.minimumSecret())
		}
	}
}

// scaledPi returns floor(2^bits * pi) by Machin's formula.
func scaledPi(bits uint) *big.Int {
	const guard = 64
	unit := new(big.Int).Lsh(one, bits+guard)
	arctan := func(x int64) *big.Int {
		power := new(big.Int).Div(unit, big.NewInt(x))
		sum := new(big.Int).Set(power)
		for k := int64(3); power.Sign() != 0; k += 2 {
			power.Div(power, big.NewInt(x*x))
			term := new(big.Int).Div(power, big.NewInt(k))
			if k%4 == 3 {
				term.Neg(term)
			}
			sum.Add(sum, term)
		}
		return sum
	}
	pi := new(big.Int).Mul(arctan(5), big.NewInt(16))
	pi.Sub(pi, new(big.Int).Mul(arctan(239), big.NewInt(4)))
	return pi.Rsh(pi, guard)
}
