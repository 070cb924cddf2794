package main

import (
	"fmt"
	"hash"
	"math/big"
)

// variableInteger is the function VI of RFC 8120 section 12.1: big-endian digits of radix 128, where all but the last digit have the top bit set.
func variableInteger(n *big.Int) []byte {
	if n.Sign() < 0 {
		panic("VI is defined for natural numbers only")
	}
	mask := big.NewInt(127)
	rest := new(big.Int).Set(n)
	digits := []byte{byte(new(big.Int).And(rest, mask).Int64())}
	for rest.Rsh(rest, 7); rest.Sign() > 0; rest.Rsh(rest, 7) {
		digit := byte(new(big.Int).And(rest, mask).Int64())
		digits = append([]byte{0x80 | digit}, digits...)
	}
	return digits
}

// variableString is the function VS of RFC 8120 section 12.1.
func variableString(s []byte) []byte {
	return append(variableInteger(big.NewInt(int64(len(s)))), s...)
}

// octets is the function OCTETS of RFC 8120 section 12.1 for a natural length that the caller knows from the set of the number.
func octets(n *big.Int, length int) ([]byte, error) {
	if n.Sign() < 0 || (n.BitLen()+7)/8 > length {
		return nil, fmt.Errorf("the number does not fit in %d octets", length)
	}
	return n.FillBytes(make([]byte, length)), nil
}

// integer is the function INT of RFC 8120 section 12.1.
func integer(s []byte) *big.Int {
	return new(big.Int).SetBytes(s)
}

// digest hashes the concatenation of its parts.
func digest(newHash func() hash.Hash, parts ...[]byte) []byte {
	state := newHash()
	for _, part := range parts {
		state.Write(part)
	}
	return state.Sum(nil)
}
