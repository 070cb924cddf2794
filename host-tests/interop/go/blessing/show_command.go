package main

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"
)

// shownBlessings is what is printed of blessings.
type shownBlessings struct {
	Error     *string              `json:"error"`
	Names     []string             `json:"names"`
	UniqueID  string               `json:"unique_id"`
	PublicKey string               `json:"public_key"`
	Chains    [][]shownCertificate `json:"chains"`
}

// shownCertificate is what is printed of a certificate.
type shownCertificate struct {
	Extension      string        `json:"extension"`
	PublicKey      string        `json:"public_key"`
	ContentDigest  string        `json:"content_digest"`
	Digest         string        `json:"digest"`
	Caveats        []shownCaveat `json:"caveats"`
	SignatureValid bool          `json:"signature_valid"`
}

// shownCaveat is what is printed of a caveat.
type shownCaveat struct {
	ID       string `json:"id"`
	ParamVOM string `json:"param_vom"`
	Param    string `json:"param"`
}

// readHex reads hex with any white space around it.
func readHex(input io.Reader) ([]byte, error) {
	text, err := io.ReadAll(input)
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(strings.TrimSpace(string(text)))
}

// showCommand prints what blessings say, and what is wrong with them.
func showCommand(input io.Reader, output io.Writer) error {
	vom, err := readHex(input)
	if err != nil {
		return err
	}
	return json.NewEncoder(output).Encode(show(vom))
}

// show describes blessings.
func show(vom []byte) *shownBlessings {
	shown := &shownBlessings{Names: []string{}, Chains: [][]shownCertificate{}}
	fail := func(err error) *shownBlessings {
		text := err.Error()
		shown.Error = &text
		return shown
	}
	decoded, err := decodeSingle(vom)
	if err != nil {
		return fail(err)
	}
	b, err := wantBlessings(decoded)
	if err != nil {
		return fail(err)
	}
	shown.Names = b.names()
	if key, err := b.publicKey(); err == nil {
		shown.PublicKey = hex.EncodeToString(key.der)
	}
	if id, err := b.uniqueID(); err == nil {
		shown.UniqueID = hex.EncodeToString(id)
	}
	for _, chain := range b {
		shown.Chains = append(shown.Chains, chain.show())
	}
	if err := b.validate(); err != nil {
		return fail(err)
	}
	return shown
}

// show describes the certificates of a chain.
func (c chain) show() []shownCertificate {
	list := []shownCertificate{}
	contents, digests := c.digests()
	for i, certificate := range c {
		signer, err := parsePublicKey(c[max(i-1, 0)].publicKey)
		shown := shownCertificate{
			Extension:      certificate.extension,
			PublicKey:      hex.EncodeToString(certificate.publicKey),
			ContentDigest:  hex.EncodeToString(contents[i]),
			Digest:         hex.EncodeToString(digests[i]),
			Caveats:        []shownCaveat{},
			SignatureValid: err == nil && signer.verify(contents[i], certificate.signature),
		}
		for _, caveat := range certificate.caveats {
			shown.Caveats = append(shown.Caveats, shownCaveat{hex.EncodeToString(caveat.id[:]), hex.EncodeToString(caveat.param), caveat.text()})
		}
		list = append(list, shown)
	}
	return list
}
