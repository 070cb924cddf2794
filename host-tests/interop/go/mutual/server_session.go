package main

import (
	"math/big"
	"time"
)

// sessionState is the state of a session in the table of the server (RFC 8120 section 11).
type sessionState int

const (
	keyExchanging sessionState = iota
	authenticated
	rejected
	inactive
)

// serverSession is an entry of that table. Sessions of unknown users are fake: they take the same course until vkc is checked.
type serverSession struct {
	transcript
	validation string
	user       string
	fake       bool
	state      sessionState
	deadline   time.Time
	nonces     nonceTable
}

// nonceTable remembers the nonce numbers received in a session, in constant memory.
type nonceTable struct {
	max, window *big.Int
	largest     *big.Int
	received    map[string]bool
}

func newNonceTable(max, window *big.Int) nonceTable {
	return nonceTable{max: max, window: window, largest: new(big.Int), received: map[string]bool{}}
}

// acceptable returns whether a nonce number may be used. The lower limit and the record count after the first success only.
func (t *nonceTable) acceptable(nc *big.Int, state sessionState) bool {
	if nc.Cmp(t.max) > 0 {
		return false
	}
	return state != authenticated || nc.Cmp(t.limit()) > 0 && !t.received[nc.String()]
}

// limit is the largest nonce number that counts as already received.
func (t *nonceTable) limit() *big.Int { return new(big.Int).Sub(t.largest, t.window) }

// record marks a nonce number as received, and forgets those below the window.
func (t *nonceTable) record(nc *big.Int) {
	if nc.Cmp(t.largest) > 0 {
		t.largest = nc
	}
	t.received[nc.String()] = true
	limit := t.limit()
	for text := range t.received {
		if old, _ := new(big.Int).SetString(text, 10); old.Cmp(limit) <= 0 {
			delete(t.received, text)
		}
	}
}
