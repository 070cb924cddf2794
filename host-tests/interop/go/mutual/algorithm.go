package main

import (
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math/big"
)

// iterations is nIterPi of RFC 8121 section 3.
const iterations = 16384

// algorithm is one of the four algorithms of RFC 8121.
type algorithm struct {
	token   string
	group   group
	newHash func() hash.Hash
	base64  bool
}

// algorithms holds the four algorithms in the order in which a client prefers them unless told otherwise.
var algorithms = []*algorithm{
	{token: "iso-kam3-ec-p256-sha256", group: curveGroup{elliptic.P256()}, newHash: sha256.New},
	{token: "iso-kam3-ec-p521-sha512", group: curveGroup{elliptic.P521()}, newHash: sha512.New},
	{token: "iso-kam3-dl-2048-sha256", group: newMODPGroup(prime2048), newHash: sha256.New, base64: true},
	{token: "iso-kam3-dl-4096-sha512", group: newMODPGroup(prime4096), newHash: sha512.New, base64: true},
}

// algorithmFor returns the algorithm with a token in lower case.
func algorithmFor(token string) (*algorithm, error) {
	for _, a := range algorithms {
		if a.token == token {
			return a, nil
		}
	}
	return nil, fmt.Errorf("the algorithm %q is unknown", token)
}

func (a *algorithm) hashLength() int { return a.newHash().Size() }

// octets returns OCTETS of the number of a group element.
func (a *algorithm) octets(n *big.Int) []byte {
	encoded, err := octets(n, a.group.octetLength())
	if err != nil {
		panic(err)
	}
	return encoded
}

// parameter returns the representation of octets in the parameters kc1, ks1, vkc and vks.
func (a *algorithm) parameter(value []byte) string {
	if a.base64 {
		return base64.StdEncoding.EncodeToString(value)
	}
	return hex.EncodeToString(value)
}

// parseParameter is the inverse of parameter; it accepts the natural length only.
func (a *algorithm) parseParameter(value string, length int) ([]byte, error) {
	parse := parseHexFixedNumber
	if a.base64 {
		parse = parseBase64FixedNumber
	}
	decoded, err := parse(value)
	if err != nil {
		return nil, err
	}
	if len(decoded) != length {
		return nil, fmt.Errorf("the number has %d octets instead of %d", len(decoded), length)
	}
	return decoded, nil
}

// parseElement parses the value of kc1 or ks1.
func (a *algorithm) parseElement(value string) (*big.Int, error) {
	decoded, err := a.parseParameter(value, a.group.octetLength())
	if err != nil {
		return nil, err
	}
	n := integer(decoded)
	_, err = a.group.parse(n)
	return n, err
}

// derivePi returns the octets of pi (RFC 8120 section 12.2); the number pi is INT of them.
func (a *algorithm) derivePi(scope, realm, username, password string) ([]byte, error) {
	var salt []byte
	for _, part := range []string{a.token, scope, realm, username} {
		salt = append(salt, variableString([]byte(part))...)
	}
	return pbkdf2.Key(a.newHash, password, salt, iterations, a.hashLength())
}

// credential returns the number of J(pi).
func (a *algorithm) credential(pi *big.Int) (*big.Int, error) {
	return a.group.number(a.group.power(a.group.generator(), pi))
}

// clientValue returns the number K_c1 for the secret S_c1.
func (a *algorithm) clientValue(secret *big.Int) (*big.Int, error) {
	return a.group.number(a.group.power(a.group.generator(), secret))
}

// t1 returns the octets of t_1.
func (a *algorithm) t1(kc1 *big.Int) []byte {
	return digest(a.newHash, []byte{1}, a.octets(kc1))
}

// t2 returns the octets of t_2.
func (a *algorithm) t2(kc1, ks1 *big.Int) []byte {
	return digest(a.newHash, []byte{2}, a.octets(kc1), a.octets(ks1))
}

// serverValue returns the number K_s1 for the secret S_s1, or an error if the exchange must be rejected.
func (a *algorithm) serverValue(credential, kc1, secret *big.Int) (*big.Int, error) {
	j, err := a.group.parse(credential)
	if err != nil {
		return nil, err
	}
	k, err := a.group.parse(kc1)
	if err != nil {
		return nil, err
	}
	base := a.group.combine(j, a.group.power(k, integer(a.t1(kc1))))
	ks1, err := a.group.number(a.group.power(base, secret))
	if err != nil {
		return nil, err
	}
	_, err = a.group.parse(ks1)
	return ks1, err
}

// clientSecret returns z as the client derives it.
func (a *algorithm) clientSecret(kc1, ks1, secret, pi *big.Int) (*big.Int, error) {
	k, err := a.group.parse(ks1)
	if err != nil {
		return nil, err
	}
	r := a.group.order()
	denominator := new(big.Int).Mul(secret, integer(a.t1(kc1)))
	denominator.Add(denominator, pi).Mod(denominator, r)
	inverse := new(big.Int).ModInverse(denominator, r)
	if inverse == nil {
		return nil, errors.New("S_c1 * t_1 + pi has no inverse")
	}
	exponent := new(big.Int).Add(secret, integer(a.t2(kc1, ks1)))
	exponent.Mul(exponent, inverse).Mod(exponent, r)
	return a.group.number(a.group.power(k, exponent))
}

// serverSecret returns z as the server derives it.
func (a *algorithm) serverSecret(kc1, ks1, secret *big.Int) (*big.Int, error) {
	k, err := a.group.parse(kc1)
	if err != nil {
		return nil, err
	}
	base := a.group.combine(k, a.group.power(a.group.generator(), integer(a.t2(kc1, ks1))))
	return a.group.number(a.group.power(base, secret))
}

// transcript is what both sides know after a key exchange.
type transcript struct {
	algorithm   *algorithm
	kc1, ks1, z *big.Int
}

// tagged returns the hash that VK_c, VK_s, b_1 and b_2 have in common.
func (t *transcript) tagged(tag byte, nc *big.Int, vh []byte) []byte {
	a := t.algorithm
	return digest(a.newHash, []byte{tag}, a.octets(t.kc1), a.octets(t.ks1), a.octets(t.z), variableInteger(nc), variableString(vh))
}

// clientVerification returns the octets of VK_c.
func (t *transcript) clientVerification(nc *big.Int, vh []byte) []byte { return t.tagged(4, nc, vh) }

// serverVerification returns the octets of VK_s.
func (t *transcript) serverVerification(nc *big.Int, vh []byte) []byte { return t.tagged(3, nc, vh) }

// sessionBinding returns b_1 (RFC 8120 section 13).
func (t *transcript) sessionBinding(vh, application []byte) []byte {
	return digest(t.algorithm.newHash, t.tagged(6, zero, vh), variableString(application))
}

// requestBinding returns b_2 (RFC 8120 section 13).
func (t *transcript) requestBinding(nc *big.Int, vh, application []byte) []byte {
	return digest(t.algorithm.newHash, t.tagged(7, nc, vh), variableString(application))
}
