package main

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// clientMisbehaviours are the values of -misbehave for the client.
// Those that concern nc, vkc or sid apply to the first req-VFY-C message of the last request, the others to all messages.
var clientMisbehaviours = []string{
	"", "wrong-vkc", "replay-nc", "nc-too-large", "nc-below-window", "kc1-invalid", "kc1-identity-like",
	"unknown-sid", "huge-nc", "other-realm", "upper-case-hex", "quoted-everything", "unquoted-where-possible",
}

// checkMisbehaviour refuses unknown modes, and those that need more requests.
func checkMisbehaviour(mode string, requests int) error {
	if !slices.Contains(clientMisbehaviours, mode) {
		return fmt.Errorf("the misbehaviour %q is unknown", mode)
	}
	if requests < 2 && (mode == "replay-nc" || mode == "nc-below-window") {
		return fmt.Errorf("the misbehaviour %q needs -requests 2 or more", mode)
	}
	return nil
}

// misbehavesNow returns true once, in the last request, if the client has the mode.
func (c *mutualClient) misbehavesNow(mode string) bool {
	if c.misbehave != mode || c.remaining != 0 || c.misbehaved {
		return false
	}
	c.misbehaved = true
	return true
}

// nonce returns the nonce number of the next req-VFY-C message.
func (c *mutualClient) nonce() *big.Int {
	s := c.session
	switch {
	case c.misbehavesNow("replay-nc"):
		return s.largest
	case c.misbehavesNow("nc-too-large"):
		return new(big.Int).Add(s.ncMax, one)
	case c.misbehavesNow("huge-nc"):
		return new(big.Int).Lsh(one, 80)
	case c.misbehavesNow("nc-below-window"):
		if below := new(big.Int).Sub(s.largest, s.ncWindow); below.Sign() >= 0 {
			return below
		}
	case c.misbehave == "nc-below-window" && c.remaining == 1:
		// The jump makes room for a number below the window that was not used before.
		s.next = new(big.Int).Add(s.ncWindow, big.NewInt(1000))
		if s.next.Cmp(s.ncMax) > 0 {
			s.next.Set(s.ncMax)
		}
	}
	return s.take()
}

// misbehavingValue returns the number that the client sends as kc1.
func (c *mutualClient) misbehavingValue(a *algorithm, kc1 *big.Int) *big.Int {
	switch c.misbehave {
	case "kc1-invalid":
		return a.group.invalidNumber()
	case "kc1-identity-like":
		return a.group.outOfRangeNumber()
	}
	return kc1
}

// style returns how the client represents values.
func (c *mutualClient) style() quoting {
	switch c.misbehave {
	case "quoted-everything":
		return quotedEverything
	case "unquoted-where-possible":
		return unquotedWherePossible
	}
	return canonical
}

// addNumber adds the value of kc1 or vkc.
func (c *mutualClient) addNumber(w *headerWriter, a *algorithm, name string, value []byte) {
	text := a.parameter(value)
	if !a.base64 {
		text = c.hexCase(text)
	}
	w.number(a, name, text)
}

// hexCase turns a hexadecimal number into upper case if the mode asks for it.
func (c *mutualClient) hexCase(text string) string {
	if c.misbehave == "upper-case-hex" {
		return strings.ToUpper(text)
	}
	return text
}
