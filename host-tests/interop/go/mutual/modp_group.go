package main

import (
	"math/big"
	"strings"
)

var (
	zero = big.NewInt(0)
	one  = big.NewInt(1)
	two  = big.NewInt(2)
)

// modpGroup is the subgroup of order r = (q - 1) / 2 that 2 generates modulo the safe prime q (RFC 8121 section 3.2).
type modpGroup struct{ q, r *big.Int }

// newMODPGroup returns the group for a prime in hexadecimal notation with spaces.
func newMODPGroup(prime string) modpGroup {
	q, ok := new(big.Int).SetString(strings.ReplaceAll(prime, " ", ""), 16)
	if !ok {
		panic("the prime is no hexadecimal number")
	}
	return modpGroup{q: q, r: new(big.Int).Rsh(q, 1)}
}

func (g modpGroup) generator() element { return element{x: two} }

func (g modpGroup) order() *big.Int { return g.r }

func (g modpGroup) power(e element, k *big.Int) element {
	return element{x: new(big.Int).Exp(e.x, k, g.q)}
}

func (g modpGroup) combine(a, b element) element {
	product := new(big.Int).Mul(a.x, b.x)
	return element{x: product.Mod(product, g.q)}
}

func (g modpGroup) number(e element) (*big.Int, error) { return e.x, nil }

// parse checks the condition 1 < n < q - 1, which is all that the RFC demands.
func (g modpGroup) parse(n *big.Int) (element, error) {
	if n.Cmp(one) <= 0 || n.Cmp(new(big.Int).Sub(g.q, one)) >= 0 {
		return element{}, errInvalidElement
	}
	return element{x: n}, nil
}

func (g modpGroup) octetLength() int { return (g.q.BitLen() + 7) / 8 }

// minimumSecret returns the smallest integer above log(q)/log(2), which is the number of bits of q as q is no power of two.
func (g modpGroup) minimumSecret() *big.Int { return big.NewInt(int64(g.q.BitLen())) }

func (g modpGroup) invalidNumber() *big.Int { return zero }

func (g modpGroup) outOfRangeNumber() *big.Int { return new(big.Int).Sub(g.q, one) }
