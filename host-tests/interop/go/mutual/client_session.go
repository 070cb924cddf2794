package main

import (
	"encoding/hex"
	"math/big"
	"time"
)

// clientSession is a session as the client knows it.
type clientSession struct {
	transcript
	sid             []byte
	ncMax, ncWindow *big.Int
	next, largest   *big.Int
	deadline        time.Time
}

// usable returns whether another request can be sent in the session.
func (s *clientSession) usable() bool {
	return s != nil && s.next.Cmp(s.ncMax) <= 0 && time.Now().Before(s.deadline)
}

// take returns the next nonce number of a counter that starts at zero.
func (s *clientSession) take() *big.Int {
	nc := new(big.Int).Set(s.next)
	s.next.Add(s.next, one)
	s.largest = nc
	return nc
}

// pendingExchange is what the client remembers between req-KEX-C1 and 401-KEX-S1.
type pendingExchange struct {
	secret, kc1 *big.Int
}

// pendingVerification is what the client remembers between req-VFY-C and 200-VFY-S.
type pendingVerification struct {
	nc *big.Int
	vh []byte
}

// offer is the realm and the validation method that the client has chosen.
type offer struct {
	realm      realmKey
	validation string
	// scopeSent is false if the server has left auth-scope out, in which case the client does so as well.
	scopeSent bool
}

// commonParameters returns a writer with the parameters of both kinds of requests.
func (c *mutualClient) commonParameters() *headerWriter {
	w := &headerWriter{style: c.style()}
	w.token("version", "1")
	w.token("algorithm", c.offer.realm.algorithm)
	w.token("validation", c.offer.validation)
	if c.offer.scopeSent {
		w.text("auth-scope", c.offer.realm.scope)
	}
	realm := c.offer.realm.realm
	if c.misbehave == "other-realm" {
		realm += " elsewhere"
	}
	w.quoted("realm", realm)
	return w
}

// exchangeCredentials returns the Authorization header of a req-KEX-C1 message.
func (c *mutualClient) exchangeCredentials() (string, error) {
	a, err := algorithmFor(c.offer.realm.algorithm)
	if err != nil {
		return "", err
	}
	secret, err := randomSecret(a.group, a.group.minimumSecret())
	if err != nil {
		return "", err
	}
	kc1, err := a.clientValue(secret)
	if err != nil {
		return "", err
	}
	c.exchange = &pendingExchange{secret: secret, kc1: kc1}
	w := c.commonParameters()
	w.text("user", c.user)
	c.addNumber(w, a, "kc1", a.octets(c.misbehavingValue(a, kc1)))
	return w.mutual()
}

// acceptExchange computes the session secret from a 401-KEX-S1 message.
func (c *mutualClient) acceptExchange(m *message) error {
	a, err := algorithmFor(c.offer.realm.algorithm)
	if err != nil {
		return err
	}
	ks1, err := a.parseElement(m.exchange)
	if err != nil {
		return err
	}
	pi, err := c.derivedPi(a)
	if err != nil {
		return err
	}
	z, err := a.clientSecret(c.exchange.kc1, ks1, c.exchange.secret, pi)
	if err != nil {
		return err
	}
	c.session = &clientSession{
		transcript: transcript{algorithm: a, kc1: c.exchange.kc1, ks1: ks1, z: z},
		sid:        m.sid, ncMax: m.ncMax, ncWindow: m.ncWindow,
		next: new(big.Int), largest: new(big.Int),
		deadline: time.Now().Add(secondsOf(m.time)),
	}
	c.exchange = nil
	return nil
}

// derivedPi computes pi once for each realm, as it takes many iterations.
func (c *mutualClient) derivedPi(a *algorithm) (*big.Int, error) {
	if pi := c.pi[c.offer.realm]; pi != nil {
		return pi, nil
	}
	pi, err := a.derivePi(c.offer.realm.scope, c.offer.realm.realm, c.user, c.password)
	if err != nil {
		return nil, err
	}
	c.pi[c.offer.realm] = integer(pi)
	return c.pi[c.offer.realm], nil
}

// verificationCredentials returns the Authorization header of a req-VFY-C message for a connection.
func (c *mutualClient) verificationCredentials(l link) (string, error) {
	vh, err := validationValue(c.offer.validation, l)
	if err != nil {
		return "", err
	}
	a := c.session.algorithm
	nc := c.nonce()
	vkc := c.session.clientVerification(nc, vh)
	sid := c.session.sid
	if c.misbehavesNow("wrong-vkc") {
		vkc[0] ^= 0x80
	}
	if c.misbehavesNow("unknown-sid") {
		sid = append([]byte{sid[0] ^ 0xff}, sid[1:]...)
	}
	c.verification = &pendingVerification{nc: nc, vh: vh}
	w := c.commonParameters()
	w.token("sid", c.hexCase(hex.EncodeToString(sid)))
	w.token("nc", nc.String())
	c.addNumber(w, a, "vkc", vkc)
	return w.mutual()
}
