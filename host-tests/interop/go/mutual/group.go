package main

import (
	"crypto/rand"
	"errors"
	"math/big"
)

// errInvalidElement means that a received number is not an acceptable element of the group.
var errInvalidElement = errors.New("the number does not represent an acceptable element of the group")

// element is an element of a group.
// The MODP groups use x only; the curves use affine coordinates, with (0, 0) for the point at infinity.
type element struct{ x, y *big.Int }

// group is what the formulas of RFC 8121 need of a group, written multiplicatively as in section 2 of it.
type group interface {
	// generator returns g or G.
	generator() element
	// order returns r.
	order() *big.Int
	// power returns e^k or [k] * e.
	power(e element, k *big.Int) element
	// combine returns a * b or a + b.
	combine(a, b element) element
	// number returns the integer that represents the element on the wire.
	number(e element) (*big.Int, error)
	// parse is the inverse of number, and makes the checks that the RFC demands of received values.
	parse(n *big.Int) (element, error)
	// octetLength returns the natural length of the numbers.
	octetLength() int
	// minimumSecret returns the smallest allowed S_c1 (RFC 8121 appendix B).
	minimumSecret() *big.Int
	// invalidNumber returns a number of natural length that parse refuses and that no group operation yields.
	invalidNumber() *big.Int
	// outOfRangeNumber returns a number above those that parse accepts, but of the natural length.
	outOfRangeNumber() *big.Int
}

// randomSecret returns a random number within [minimum, order - 1].
func randomSecret(g group, minimum *big.Int) (*big.Int, error) {
	span := new(big.Int).Sub(g.order(), minimum)
	n, err := rand.Int(rand.Reader, span)
	if err != nil {
		return nil, err
	}
	return n.Add(n, minimum), nil
}
