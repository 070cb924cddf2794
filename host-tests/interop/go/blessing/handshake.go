package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Tags before the binding in what the ends sign.
const (
	tagDialer   = "AuthDial\x00"
	tagAcceptor = "AuthAcpt\x00"
)

// nullRoutingID is the routing identifier of an end that does not have one.
var nullRoutingID = strings.Repeat("0", 32)

func containsAt(name string) bool {
	return strings.Contains(name, "@")
}

// authorizer decides on the names of the other end. It is asked after the signature has been verified.
type authorizer func(names []string, rejected []rejection) error

// newSetup makes the Setup message of this end, and the key that belongs to it.
func (c *channel) newSetup(minVersion, maxVersion uint64) (*setup, *ecdh.PrivateKey, error) {
	secret, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	s := &setup{min: minVersion, max: maxVersion, naclKey: secret.PublicKey().Bytes(), mtu: defaultMTU, sharedTokens: defaultSharedTokens}
	if c.isDialer {
		s.remoteEndpoint = endpoint(c.socket.RemoteAddr().String(), nullRoutingID, nil)
		s.localEndpoint = endpoint(c.socket.LocalAddr().String(), nullRoutingID, nil)
	} else {
		var routingID [16]byte
		rand.Read(routingID[:])
		s.localEndpoint = endpoint(c.socket.LocalAddr().String(), hex.EncodeToString(routingID[:]), c.self.roots.localNames(c.self.blessings))
	}
	return s, secret, nil
}

// setUp exchanges the Setup messages and begins the encryption.
func (c *channel) setUp(minVersion, maxVersion uint64) error {
	own, secret, err := c.newSetup(minVersion, maxVersion)
	if err != nil {
		return err
	}
	if c.misdeed == "reflected-nacl-key" {
		return c.reflectKey(own)
	}
	sent, bound := c.setupOctets(own)
	if err := c.writeClear(sent); err != nil {
		return err
	}
	body, err := c.readFrame()
	if err != nil {
		return err
	}
	if body[0] != octetSetup && !c.lax {
		return refuse(errors.New("the first message is not a Setup"))
	}
	peer, err := parseSetup(body)
	if err != nil {
		return refuse(err)
	}
	if c.version, err = chooseVersion(own, peer); err != nil {
		return refuse(err)
	}
	if len(peer.naclKey) != 32 {
		return refuse(errors.New("the Setup has no box key of 32 octets"))
	}
	encryption, err := newBox(secret, peer.naclKey)
	if err != nil {
		return refuse(err)
	}
	if peer.mtu == 0 {
		peer.mtu = own.mtu
	}
	c.mtu, c.sharedTokens = min(own.mtu, peer.mtu), own.sharedTokens
	if peer.sharedTokens != 0 {
		c.sharedTokens = min(own.sharedTokens, peer.sharedTokens)
	}
	c.reader, c.box = newBlessingsReader(), encryption
	dialer, acceptor, dialerOctets, acceptorOctets := own, peer, bound, peer.encode()
	if !c.isDialer {
		dialer, acceptor, dialerOctets, acceptorOctets = peer, own, acceptorOctets, dialerOctets
	}
	c.binding = bindingOf(c.version, dialer, acceptor, dialerOctets, acceptorOctets)
	c.keyBinding = bindingOf(firstVersion, dialer, acceptor, nil, nil)
	return nil
}

// handshake authenticates both ends. The dialer asks its authorizer before it says who it is. sendReal says whether the dialer sends its
// own blessings at once rather than nameless ones.
func (c *channel) handshake(minVersion, maxVersion uint64, sendReal bool, authorize authorizer) error {
	c.extendDeadline()
	if err := c.setUp(minVersion, maxVersion); err != nil {
		return err
	}
	if !c.isDialer {
		if err := c.sendAuth(true); err != nil {
			return err
		}
		b, discharges, err := c.readAuth()
		if err != nil {
			return err
		}
		return authorize(c.names(b, discharges, ""))
	}
	b, discharges, err := c.readAuth()
	if err != nil {
		return err
	}
	if err := authorize(c.names(b, discharges, "")); err != nil {
		return refuse(err)
	}
	return c.sendAuth(sendReal)
}

// tags returns the tag of this end and that of the other.
func (c *channel) tags() (own, peer string) {
	if c.isDialer {
		return tagDialer, tagAcceptor
	}
	return tagAcceptor, tagDialer
}

// readAuth reads messages up to the other end's Auth, and verifies it.
func (c *channel) readAuth() (blessings, []discharge, error) {
	for {
		m, plain, err := c.read()
		if err != nil {
			return nil, nil, err
		}
		switch m := m.(type) {
		case *data:
			if m.flow != blessingsFlow {
				return nil, nil, refuse(fmt.Errorf("Data for flow %d before Auth", m.flow))
			}
			c.peerFlow1 = append(c.peerFlow1, m.payload...)
			if len(c.peerFlow1) > maxVOM {
				return nil, nil, refuse(errors.New("the blessings are too long"))
			}
			if err := c.reader.write(m.payload); err != nil {
				return nil, nil, refuse(err)
			}
		case *auth:
			_, tag := c.tags()
			b, discharges, err := c.reader.checkAuth(m, tag, c.binding, c.lax)
			if err != nil && !slices.Contains(setupMisdeeds, c.misdeed) {
				return nil, nil, refuse(err)
			}
			c.peerAuth = bytes.Clone(plain)
			return b, discharges, nil
		default:
			return nil, nil, refuse(fmt.Errorf("a message of type %02x before Auth", plain[0]))
		}
	}
}

// sendAuth sends blessings on flow 1 and the signature of the channel binding.
func (c *channel) sendAuth(sendReal bool) error {
	shown := c.self.blessings
	if !sendReal || len(shown) == 0 {
		shown = nameless(c.self.key.publicKey)
	}
	c.ownIsReal = sendReal
	if c.misdeed == "other-blessings" {
		shown = c.other
	}
	if c.misdeed == "high-key" {
		c.writer.lastKey = 4
	}
	octets, key := c.writer.blessings(shown)
	a := &auth{blessingsKey: key}
	if sendReal && len(c.self.discharges) > 0 {
		more, dischargeKey := c.writer.discharges(c.self.discharges, key)
		octets, a.dischargeKey = append(octets, more...), dischargeKey
	}
	c.ownKey = key
	if c.misdeed == "reflected-auth" {
		return c.reflectAuth()
	}
	if err := c.sendFlow1(octets); err != nil {
		return err
	}
	tag, _ := c.tags()
	var err error
	if a.signature, err = c.self.key.sign(append([]byte(tag), c.binding...), purposeMessage); err != nil {
		return err
	}
	a.octet = authOctet(a.signature)
	misdone, err := c.misdoAuth(a)
	if err != nil || misdone {
		return err
	}
	if err := c.write(a); err != nil || !c.isDialer || !sendReal {
		return err
	}
	// A dialer that is also a server says again which blessings are its own.
	return c.write(&auth{octet: octetAuthECDSA, blessingsKey: key, dischargeKey: a.dischargeKey})
}

// sendFlow1 sends octets on flow 1, in as many messages as necessary.
func (c *channel) sendFlow1(octets []byte) error {
	if done, err := c.misdoFlow1(&octets); done || err != nil {
		return err
	}
	size := int(c.mtu)
	if c.misdeed == "split-blessings" {
		size = 100
	}
	for len(octets) > 0 {
		piece := octets[:min(size, len(octets))]
		octets = octets[len(piece):]
		if err := c.write(&data{flow: blessingsFlow, payload: piece}); err != nil {
			return err
		}
	}
	return nil
}
