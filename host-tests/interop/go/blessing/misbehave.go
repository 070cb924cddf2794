package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// misbehaviour is a deviation from the protocol.
type misbehaviour struct {
	Name    string `json:"name"`
	Ends    string `json:"ends"`    // both, dialer or acceptor
	Verdict string `json:"verdict"` // refused: by upstream, too; strict: a careful end refuses it, upstream does not; harmless: it is taken
	What    string `json:"what"`
}

// misbehaviours are the values of -misbehave.
var misbehaviours = []misbehaviour{
	{"low-order-nacl-key", "both", "refused", "the box key of the Setup is 1"},
	{"zero-nacl-key", "both", "refused", "the box key of the Setup is zero"},
	{"no-nacl-key", "both", "refused", "the Setup has no box key"},
	{"reflected-nacl-key", "both", "refused", "the box key is the other end's, and its frames are sent back"},
	{"zero-mtu", "both", "refused", "the Setup has no MTU, and the binding signed is of this Setup"},
	{"reordered-options", "both", "refused", "the options of the Setup are in descending order"},
	{"unknown-option-first", "both", "refused", "an unknown option comes before the known ones"},
	{"unknown-option-last", "both", "harmless", "an unknown option comes after the known ones"},
	{"no-shared-tokens", "both", "harmless", "the Setup has no shared tokens"},
	{"no-endpoints", "both", "harmless", "the Setup has no endpoints"},
	{"long-integers", "both", "refused", "the versions of the Setup have an octet more than necessary"},
	{"setup-type", "both", "strict", "the first octet of the Setup is 00"},
	{"downgrade", "both", "refused", "the versions are 11 to 13 (refused unless the other end takes them)"},
	{"key-binding", "both", "refused", "the binding of versions 11 to 13 is signed in version 14"},
	{"swapped-tag", "both", "refused", "the other end's tag is signed"},
	{"no-tag", "both", "refused", "the binding is signed without a tag"},
	{"cut-binding", "both", "refused", "the last octet of the binding is left out"},
	{"wrong-key", "both", "refused", "another key signs"},
	{"reflected-auth", "dialer", "refused", "the other end's blessings and Auth are sent back"},
	{"unsigned-auth", "both", "refused", "the first Auth has no signature"},
	{"wrong-type-auth", "both", "refused", "the Auth is one of another algorithm"},
	{"zero-blessings-key", "both", "refused", "the Auth names the blessings key 0"},
	{"unknown-blessings-key", "both", "refused", "the Auth names a blessings key that was not sent"},
	{"unknown-discharge-key", "both", "refused", "the Auth names a discharge key that was not sent"},
	{"extra-after-signature", "both", "strict", "octets follow the signature in the Auth"},
	{"purpose-b1", "both", "strict", "the signature is for B1, and says so"},
	{"purpose-unknown", "both", "strict", "the signature is for a purpose X9, and says so"},
	{"purpose-empty", "both", "strict", "the signature is for an empty purpose, and says so"},
	{"high-s", "both", "harmless", "S is replaced by the other value that is valid; with Ed25519 by one that is not, which is refused"},
	{"leading-zero", "both", "strict", "R has a zero octet in front; with Ed25519 the signature, which is refused"},
	{"hash-other", "both", "strict", "another hash than the key's own is used throughout"},
	{"hash-renamed", "both", "refused", "the Auth names another hash than the one used"},
	{"flow-before-auth", "both", "refused", "OpenFlow comes in place of Auth"},
	{"cut-blessings", "both", "refused", "the last octet of the blessings is left out"},
	{"other-blessings", "both", "refused", "the blessings are another principal's, the signature is the own"},
	{"split-blessings", "both", "harmless", "the blessings come in pieces of 100 octets"},
	{"high-key", "both", "harmless", "the first blessings key is 5"},
	{"clear-data", "both", "refused", "the blessings are not encrypted"},
	{"bit-flip", "both", "refused", "one bit of the sealed blessings is changed"},
	{"replayed-frame", "both", "refused", "the sealed blessings are sent twice"},
	{"wrong-nonce", "both", "refused", "the nonces are those of the other direction"},
	{"zero-flow-key", "dialer", "refused", "OpenFlow names the blessings key 0"},
	{"unknown-flow-key", "dialer", "refused", "OpenFlow names a blessings key that was not sent"},
	{"odd-flow-id", "dialer", "refused", "the flow identifier is one of the acceptor's"},
	{"reserved-flow-id", "dialer", "strict", "the flow identifier is 4"},
	{"flow-other-blessings", "dialer", "refused", "another principal's blessings are sent for the flow"},
	{"refresh-other-blessings", "dialer", "refused", "another principal's blessings are sent, and an Auth names them"},
	{"clear-payload", "dialer", "strict", "the payload comes unencrypted in a frame of its own"},
	{"data-unknown-flow", "dialer", "harmless", "Data and Release for a flow that does not exist come before the flow"},
	{"lame-duck", "dialer", "harmless", "EnterLameDuck comes before the flow"},
	{"health-check", "dialer", "harmless", "a health check is asked for before the flow"},
}

// setupMisdeeds are those after which the other end may sign another binding. This end then does not check it, so that it is the other
// end that refuses.
var setupMisdeeds = []string{"zero-mtu", "reordered-options", "unknown-option-first", "long-integers", "setup-type"}

// checkMisbehaviour refuses names that are unknown, or not for this end.
func checkMisbehaviour(name, end string) error {
	if name == "" || slices.ContainsFunc(misbehaviours, func(m misbehaviour) bool {
		return m.Name == name && (m.Ends == "both" || m.Ends == end)
	}) {
		return nil
	}
	return fmt.Errorf("the misbehaviour %q is not known for the %s", name, end)
}

// setupOctets returns the octets of the Setup that are sent, and those that are bound.
func (c *channel) setupOctets(s *setup) (sent, bound []byte) {
	versions, options := appendUnsigned(appendUnsigned(nil, s.min), s.max), s.options()
	unknown := option{99, []byte("unknown")}
	without := func(tags ...uint64) {
		options = slices.DeleteFunc(options, func(o option) bool { return slices.Contains(tags, o.tag) })
	}
	switch c.misdeed {
	case "low-order-nacl-key":
		options[0].data = append([]byte{1}, make([]byte, 31)...)
	case "zero-nacl-key":
		options[0].data = make([]byte, 32)
	case "no-nacl-key":
		without(optionNaClKey)
	case "zero-mtu":
		without(optionMTU)
	case "no-shared-tokens":
		without(optionSharedTokens)
	case "no-endpoints":
		without(optionLocalEndpoint, optionRemoteEndpoint)
	case "reordered-options":
		slices.Reverse(options)
	case "unknown-option-first":
		options = append([]option{unknown}, options...)
	case "unknown-option-last":
		options = append(options, unknown)
	case "long-integers":
		versions = appendLong(appendLong(nil, s.min, 1), s.max, 1)
	}
	sent = encodeSetup(versions, options)
	bound = slices.Clone(sent)
	if c.misdeed == "setup-type" {
		sent[0] = 0
	}
	return sent, bound
}

// reflectKey sends the other end's box key back, and then its frames.
func (c *channel) reflectKey(own *setup) error {
	body, err := c.readFrame()
	if err != nil {
		return err
	}
	peer, err := parseSetup(body)
	if err != nil {
		return err
	}
	own.naclKey = peer.naclKey
	if err := c.writeClear(own.encode()); err != nil {
		return err
	}
	next := make([]byte, 100)
	rand.Read(next)
	for {
		if err := c.writeClear(next); err != nil {
			return err
		}
		if next, err = c.readFrame(); err != nil {
			return err
		}
		if next[0] == octetTearDown {
			return &tornDown{"in clear: " + string(next[1:])}
		}
	}
}

// reflectAuth sends the other end's blessings and Auth back.
func (c *channel) reflectAuth() error {
	if err := c.write(&data{flow: blessingsFlow, payload: c.peerFlow1}); err != nil {
		return err
	}
	return c.writeClear(c.box.seal(c.peerAuth))
}

// misdoFlow1 changes what is sent on flow 1, or sends it. Misdeeds concern the first blessings.
func (c *channel) misdoFlow1(octets *[]byte) (done bool, err error) {
	first := &data{flow: blessingsFlow, payload: *octets}
	switch c.misdeed {
	case "cut-blessings":
		*octets = (*octets)[:len(*octets)-1]
	case "wrong-nonce":
		c.box.wrongNonce = true
	case "clear-data":
		return true, c.writeClear(first.encode())
	case "bit-flip":
		sealed := c.box.seal(first.encode())
		sealed[len(sealed)/2] ^= 1
		return true, c.writeClear(sealed)
	case "replayed-frame":
		sealed := c.box.seal(first.encode())
		return true, errors.Join(c.writeClear(sealed), c.writeClear(sealed))
	}
	return false, nil
}

// misdoAuth changes the Auth message, or sends something in its place.
func (c *channel) misdoAuth(a *auth) (done bool, err error) {
	own, peer := c.tags()
	key, text, purpose, hash := c.self.key, append([]byte(own), c.binding...), purposeMessage, c.self.key.hash()
	other := map[string]string{"SHA256": "SHA512", "SHA384": "SHA512", "SHA512": "SHA256"}[hash]
	switch c.misdeed {
	case "flow-before-auth":
		id := uint64(firstFlow)
		if !c.isDialer {
			id++
		}
		return true, c.write(&openFlow{flow: id, counters: c.sharedTokens, blessingsKey: a.blessingsKey, payload: []byte("early")})
	case "zero-blessings-key":
		a.blessingsKey = 0
	case "unknown-blessings-key":
		a.blessingsKey = 9
	case "unknown-discharge-key":
		a.dischargeKey = 9
	case "extra-after-signature":
		a.trailing = []byte("extra")
	case "unsigned-auth":
		a.signature = signature{}
	case "wrong-type-auth":
		s := &a.signature
		if a.octet == octetAuthEd25519 {
			a.octet, s.r, s.s = octetAuthECDSA, s.ed25519[:32], s.ed25519[32:]
		} else {
			a.octet, s.ed25519 = octetAuthEd25519, slices.Concat(s.r, s.s)
		}
	case "high-s":
		c.otherS(&a.signature)
	case "leading-zero":
		if a.octet == octetAuthEd25519 {
			a.signature.ed25519 = append([]byte{0}, a.signature.ed25519...)
		} else {
			a.signature.r = append([]byte{0}, a.signature.r...)
		}
	case "hash-renamed":
		a.signature.hash = other
	case "swapped-tag":
		text = append([]byte(peer), c.binding...)
	case "no-tag":
		text = c.binding
	case "cut-binding":
		text = text[:len(text)-1]
	case "key-binding":
		text = append([]byte(own), c.keyBinding...)
	case "wrong-key":
		if key, err = key.anotherKey(); err != nil {
			return false, err
		}
	case "purpose-b1":
		purpose = purposeBlessing
	case "purpose-unknown":
		purpose = "X9"
	case "purpose-empty":
		purpose = ""
	case "hash-other":
		hash = other
	}
	signAnew := []string{
		"swapped-tag", "no-tag", "cut-binding", "key-binding", "wrong-key", "purpose-b1", "purpose-unknown", "purpose-empty", "hash-other",
	}
	if slices.Contains(signAnew, c.misdeed) {
		a.signature, err = key.signAs(text, purpose, hash)
	}
	return false, err
}

// otherS replaces S by n - S, or by S + L with Ed25519.
func (c *channel) otherS(s *signature) {
	if order := c.self.key.order(); order != nil {
		s.s = new(big.Int).Sub(order, new(big.Int).SetBytes(s.s)).Bytes()
		return
	}
	half := slices.Clone(s.ed25519[ed25519.SignatureSize/2:])
	slices.Reverse(half)
	l, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	sum := new(big.Int).Add(new(big.Int).SetBytes(half), l).FillBytes(half)
	slices.Reverse(sum)
	s.ed25519 = slices.Concat(s.ed25519[:ed25519.SignatureSize/2], sum)
}
