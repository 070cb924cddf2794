package main

import (
	"encoding/asn1"
	"encoding/base64"
	"math/big"
)

// splitSignature takes the numbers R and S out of an ECDSA signature in DER, in their shortest form.
func splitSignature(der []byte) (r, s []byte, err error) {
	var numbers struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &numbers); err != nil {
		return nil, nil, err
	}
	return numbers.R.Bytes(), numbers.S.Bytes(), nil
}

// digest returns the digest of a signature for chaining. A signature without any octets counts as one of RSA.
func (s signature) digest(h func(...[]byte) []byte) []byte {
	head := append(h([]byte(s.hash)), h(s.purpose)...)
	switch {
	case len(s.r) > 0:
		return h(head, h([]byte("ECDSA")), h(s.r), h(s.s))
	case len(s.ed25519) > 0:
		return h(head, h([]byte("ED25519")), h(s.ed25519))
	}
	return h(head, h([]byte("RSA")), h(s.rsa1))
}

func (c caveat) digest(h func(...[]byte) []byte) []byte {
	return h(h(c.id[:]), h(c.param))
}

// content returns the digest of all of the certificate but its signature.
func (c *certificate) content(h func(...[]byte) []byte) []byte {
	parts := [][]byte{h(c.publicKey), h([]byte(c.extension))}
	for _, caveat := range c.caveats {
		parts = append(parts, caveat.digest(h))
	}
	if len(c.x509) > 0 {
		parts = append(parts, h(c.x509))
	}
	return h(parts...)
}

// hashName returns the name of the hash of the certificate's digests. A nameless certificate has no signature to name it, so it is its key's hash.
func (c *certificate) hashName() string {
	if c.signature.hash == "" {
		if key, err := parsePublicKey(c.publicKey); err == nil {
			return key.hash()
		}
	}
	return c.signature.hash
}

// digests returns the content digest C, which is signed, and the digest D, which is passed on, of every certificate.
func (c chain) digests() (contents, digests [][]byte) {
	var parent []byte
	for i := range c {
		h := hashNamed(c[i].hashName())
		content := c[i].content(h)
		full := h(content, c[i].signature.digest(h))
		if i > 0 {
			content, full = h(h(parent), content), h(h(parent), full)
		}
		contents, digests, parent = append(contents, content), append(digests, full), full
	}
	return contents, digests
}

// dischargeID returns the name under which a discharge refers to a third-party caveat.
func (p *thirdParty) dischargeID() (string, error) {
	key, err := parsePublicKey(p.dischargerKey)
	if err != nil {
		return "", err
	}
	h := hashNamed(key.hash())
	parts := [][]byte{h(p.nonce[:]), h(p.dischargerKey)}
	for _, caveat := range p.caveats {
		parts = append(parts, caveat.digest(h))
	}
	return base64.StdEncoding.EncodeToString(h(parts...)), nil
}

// message returns what the discharger signs.
func (d *discharge) message() []byte {
	h := hashNamed(d.signature.hash)
	parts := [][]byte{h([]byte(d.caveatID))}
	for _, caveat := range d.caveats {
		parts = append(parts, caveat.digest(h))
	}
	return h(parts...)
}
