package main

import (
	"errors"
	"fmt"
)

// The octets that begin the messages.
const (
	octetSetup          = 0x7e
	octetTearDown       = 0x7d
	octetEnterLameDuck  = 0x7c
	octetAckLameDuck    = 0x7b
	octetAuthECDSA      = 0x7a
	octetOpenFlow       = 0x79
	octetRelease        = 0x78
	octetData           = 0x77
	octetHealthRequest  = 0x73
	octetHealthResponse = 0x72
	octetAuthEd25519    = 0x70
	octetAuthRSA        = 0x6f
)

// Flags of Data and OpenFlow.
const (
	flagClose        = 1
	flagClearPayload = 2
)

// Flow 1 carries blessings. Flows for applications begin at 10: even ones are the dialer's, odd ones the acceptor's.
const (
	blessingsFlow = 1
	firstFlow     = 10
)

// auth is an Auth message.
type auth struct {
	octet                      byte
	blessingsKey, dischargeKey uint64
	signature                  signature
	trailing                   []byte
}

// isUnsigned tells whether the message only says which blessings are now the sender's own.
func (a *auth) isUnsigned() bool {
	s := &a.signature
	return len(s.purpose)+len(s.hash)+len(s.r)+len(s.s)+len(s.ed25519)+len(s.rsa1) == 0
}

// openFlow is an OpenFlow message.
type openFlow struct {
	flow, counters, blessingsKey, dischargeKey, flags uint64
	payload                                           []byte
}

// data is a Data message.
type data struct {
	flow, flags uint64
	payload     []byte
}

// release is a Release message: tokens by flow.
type release map[uint64]uint64

// tearDown is a TearDown message.
type tearDown string

// simple is a message that is its octet alone.
type simple byte

// parseMessage parses a message of a type that follows the Setup. Its parts share memory with the input.
func parseMessage(plain []byte) (any, error) {
	if len(plain) == 0 {
		return nil, errors.New("a message is empty")
	}
	input := &octetReader{plain[1:]}
	fail := error(nil)
	number := func() (result uint64) {
		if fail == nil {
			result, fail = input.unsigned()
		}
		return result
	}
	octets := func() (result []byte) {
		if fail == nil {
			result, fail = input.octets()
		}
		return result
	}
	var result any
	switch octet := plain[0]; octet {
	case octetAuthECDSA, octetAuthEd25519, octetAuthRSA:
		a := &auth{octet: octet, blessingsKey: number(), dischargeKey: number()}
		a.signature.purpose, a.signature.hash = octets(), string(octets())
		switch octet {
		case octetAuthECDSA:
			a.signature.r, a.signature.s = octets(), octets()
		case octetAuthEd25519:
			a.signature.ed25519 = octets()
		default:
			a.signature.rsa1 = octets()
		}
		a.trailing, result = input.rest, a
	case octetOpenFlow:
		o := &openFlow{flow: number(), counters: number(), blessingsKey: number(), dischargeKey: number(), flags: number()}
		o.payload, result = input.rest, o
	case octetData:
		d := &data{flow: number(), flags: number()}
		d.payload, result = input.rest, d
	case octetRelease:
		tokens := release{}
		for len(input.rest) > 0 && fail == nil {
			flow := number()
			tokens[flow] += number()
		}
		result = tokens
	case octetTearDown:
		result = tearDown(input.rest)
	case octetEnterLameDuck, octetAckLameDuck, octetHealthRequest, octetHealthResponse:
		result = simple(octet)
	default:
		fail = fmt.Errorf("messages of type %02x are not expected", octet)
	}
	return result, fail
}

// encode returns the octets of the message.
func (a *auth) encode() []byte {
	to := appendUnsigned(appendUnsigned([]byte{a.octet}, a.blessingsKey), a.dischargeKey)
	to = appendOctets(appendOctets(to, a.signature.purpose), []byte(a.signature.hash))
	switch a.octet {
	case octetAuthECDSA:
		to = appendOctets(appendOctets(to, a.signature.r), a.signature.s)
	case octetAuthEd25519:
		to = appendOctets(to, a.signature.ed25519)
	default:
		to = appendOctets(to, a.signature.rsa1)
	}
	return append(to, a.trailing...)
}

func (o *openFlow) encode() []byte {
	to := []byte{octetOpenFlow}
	for _, number := range []uint64{o.flow, o.counters, o.blessingsKey, o.dischargeKey, o.flags} {
		to = appendUnsigned(to, number)
	}
	return append(to, o.payload...)
}

func (d *data) encode() []byte {
	return append(appendUnsigned(appendUnsigned([]byte{octetData}, d.flow), d.flags), d.payload...)
}

func (r release) encode() []byte {
	to := []byte{octetRelease}
	for flow, tokens := range r {
		to = appendUnsigned(appendUnsigned(to, flow), tokens)
	}
	return to
}

func (t tearDown) encode() []byte {
	return append([]byte{octetTearDown}, t...)
}

func (s simple) encode() []byte {
	return []byte{byte(s)}
}

// authOctet returns the octet of Auth messages for signatures by the key.
func authOctet(s signature) byte {
	switch {
	case len(s.ed25519) > 0:
		return octetAuthEd25519
	case len(s.rsa1) > 0:
		return octetAuthRSA
	}
	return octetAuthECDSA
}
