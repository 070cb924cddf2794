package main

import (
	"crypto/elliptic"
	"math/big"
)

// curveGroup is the group of points of a NIST curve (RFC 8121 section 3.3); its cofactor is 1.
type curveGroup struct{ curve elliptic.Curve }

func (g curveGroup) generator() element {
	parameters := g.curve.Params()
	return element{x: parameters.Gx, y: parameters.Gy}
}

func (g curveGroup) order() *big.Int { return g.curve.Params().N }

func (g curveGroup) power(e element, k *big.Int) element {
	if isInfinity(e) {
		return e
	}
	scalar := new(big.Int).Mod(k, g.order())
	x, y := g.curve.ScalarMult(e.x, e.y, scalar.Bytes())
	return element{x: x, y: y}
}

func (g curveGroup) combine(a, b element) element {
	x, y := g.curve.Add(a.x, a.y, b.x, b.y)
	return element{x: x, y: y}
}

// number is the function P: x * 2 + (y mod 2). It is not defined for the point at infinity.
func (g curveGroup) number(e element) (*big.Int, error) {
	if isInfinity(e) {
		return nil, errInvalidElement
	}
	n := new(big.Int).Lsh(e.x, 1)
	return n.SetBit(n, 0, e.y.Bit(0)), nil
}

// parse is the function P'. As the cofactor is 1, no point that it returns is the point at infinity after multiplication by h.
func (g curveGroup) parse(n *big.Int) (element, error) {
	q := g.curve.Params().P
	if n.Sign() < 0 {
		return element{}, errInvalidElement
	}
	x := new(big.Int).Rsh(n, 1)
	if x.Cmp(q) >= 0 {
		return element{}, errInvalidElement
	}
	// The equation of the curve is y^2 = x^3 - 3x + b.
	square := new(big.Int).Mul(x, x)
	square.Sub(square, big.NewInt(3)).Mul(square, x).Add(square, g.curve.Params().B).Mod(square, q)
	y := new(big.Int).ModSqrt(square, q)
	if y == nil {
		return element{}, errInvalidElement
	}
	if y.Bit(0) != n.Bit(0) {
		y.Sub(q, y)
	}
	// The test refuses y = q, which would stand for y = 0 with the parity 1.
	if y.Cmp(q) >= 0 {
		return element{}, errInvalidElement
	}
	return element{x: x, y: y}, nil
}

// octetLength is the length of 2q - 1, the largest number that can appear.
func (g curveGroup) octetLength() int { return (g.curve.Params().P.BitLen() + 1 + 7) / 8 }

func (g curveGroup) minimumSecret() *big.Int { return one }

// invalidNumber returns the smallest number whose x belongs to no point.
func (g curveGroup) invalidNumber() *big.Int {
	for n := big.NewInt(2); ; n.Add(n, two) {
		if _, err := g.parse(n); err != nil {
			return n
		}
	}
}

// outOfRangeNumber returns the number at or above 2q whose half modulo q is the generator's x, so that only a range check finds it.
func (g curveGroup) outOfRangeNumber() *big.Int {
	parameters := g.curve.Params()
	n := new(big.Int).Add(parameters.P, parameters.Gx)
	n.Lsh(n, 1)
	return n.SetBit(n, 0, parameters.Gy.Bit(0))
}

func isInfinity(e element) bool { return e.x.Sign() == 0 && e.y.Sign() == 0 }
