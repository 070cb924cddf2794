package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// forbiddenInExtension are texts that no extension may have.
var forbiddenInExtension = []string{"...", "::", ",", "@@", "(", ")", "<", ">", "/"}

// checkExtension applies the rules for the extension of a certificate.
func checkExtension(extension string) error {
	if extension == "" || extension == "$" || strings.HasPrefix(extension, ":") || strings.HasSuffix(extension, ":") {
		return fmt.Errorf("the extension %q is invalid", extension)
	}
	for _, forbidden := range forbiddenInExtension {
		if strings.Contains(extension, forbidden) {
			return fmt.Errorf("the extension %q has %q", extension, forbidden)
		}
	}
	return nil
}

// name returns the name of a chain, which it claims.
func (c chain) name() string {
	var extensions []string
	for _, certificate := range c {
		extensions = append(extensions, certificate.extension)
	}
	return strings.Join(extensions, ":")
}

// names returns the claimed names of all chains. Nameless blessings have none.
func (b blessings) names() []string {
	names := []string{}
	for _, chain := range b {
		if !b.isNameless() {
			names = append(names, chain.name())
		}
	}
	return names
}

// isNameless tells whether the blessings are one certificate with only a public key.
func (b blessings) isNameless() bool {
	if len(b) != 1 || len(b[0]) != 1 {
		return false
	}
	c, s := &b[0][0], &b[0][0].signature
	return c.extension == "" && len(c.caveats) == 0 && len(c.x509) == 0 && len(c.publicKey) > 0 &&
		s.hash == "" && len(s.purpose)+len(s.r)+len(s.s)+len(s.ed25519)+len(s.rsa1) == 0
}

// publicKey returns the key in which the first chain ends.
func (b blessings) publicKey() (publicKey, error) {
	if len(b) == 0 || len(b[0]) == 0 {
		return publicKey{}, errors.New("the blessings have no key")
	}
	return parsePublicKey(b[0][len(b[0])-1].publicKey)
}

// uniqueID returns the digest of the last digests of all chains.
func (b blessings) uniqueID() ([]byte, error) {
	key, err := b.publicKey()
	if err != nil {
		return nil, err
	}
	var last [][]byte
	for _, chain := range b {
		if len(chain) == 0 {
			return nil, errors.New("a chain is empty")
		}
		_, digests := chain.digests()
		last = append(last, digests[len(digests)-1])
	}
	return hashNamed(key.hash())(last...), nil
}

// verifyAt says what is wrong with the certificate at the place in its chain.
func (c chain) verifyAt(i int, content []byte) error {
	if string(c[i].signature.purpose) != purposeBlessing {
		return fmt.Errorf("the signature of %q has the purpose %q", c[i].extension, c[i].signature.purpose)
	}
	if err := checkExtension(c[i].extension); err != nil {
		return err
	}
	signer, err := parsePublicKey(c[max(i-1, 0)].publicKey)
	if err != nil {
		return err
	}
	if !signer.verify(content, c[i].signature) {
		return fmt.Errorf("the signature of %q is wrong", c[i].extension)
	}
	return nil
}

// validate checks all that holds without roots and time: structure, extensions, purposes and signatures.
func (b blessings) validate() error {
	if len(b) == 0 {
		return nil
	}
	leaf, err := b.publicKey()
	if err != nil || b.isNameless() {
		return err
	}
	for _, chain := range b {
		if len(chain) == 0 {
			return errors.New("a chain is empty")
		}
		if !bytes.Equal(chain[len(chain)-1].publicKey, leaf.der) {
			return errors.New("two chains end in different keys")
		}
		contents, _ := chain.digests()
		for i := len(chain) - 1; i >= 0; i-- {
			if err := chain.verifyAt(i, contents[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// decodeBlessings decodes blessings from a stream of their own, and validates them.
func decodeBlessings(vom []byte) (blessings, error) {
	decoded, err := decodeSingle(vom)
	if err != nil {
		return nil, err
	}
	b, err := wantBlessings(decoded)
	if err != nil {
		return nil, err
	}
	return b, b.validate()
}

// nameless makes blessings that show a key without a name.
func nameless(key publicKey) blessings {
	return blessings{{{publicKey: key.der}}}
}

// selfSigned makes blessings of one certificate.
func selfSigned(key *privateKey, name string, caveats []caveat) (blessings, error) {
	c, err := chain{}.extend(key, key.publicKey, name, caveats)
	return blessings{c}, err
}

// bless makes blessings for another key that extend all chains, which must end in the signer's key.
func (b blessings) bless(signer *privateKey, to publicKey, extension string, caveats []caveat) (blessings, error) {
	var extended blessings
	for _, c := range b {
		if len(c) == 0 || !bytes.Equal(c[len(c)-1].publicKey, signer.der) {
			return nil, errors.New("the blessings are not for the key that extends them")
		}
		longer, err := c.extend(signer, to, extension, caveats)
		if err != nil {
			return nil, err
		}
		extended = append(extended, longer)
	}
	return extended, nil
}

// extend appends a certificate to a copy of the chain. It does not check the extension.
func (c chain) extend(signer *privateKey, to publicKey, extension string, caveats []caveat) (chain, error) {
	longer := append(slices.Clone(c), certificate{extension: extension, publicKey: to.der, caveats: caveats})
	last := &longer[len(longer)-1]
	last.signature.hash = signer.hash()
	contents, _ := longer.digests()
	signed, err := signer.sign(contents[len(contents)-1], purposeBlessing)
	last.signature = signed
	return longer, err
}

// union joins blessings for the same key. The chains are ordered by length, then by name.
func union(parts ...blessings) (blessings, error) {
	all := slices.Concat(parts...)
	all.sort()
	for _, chain := range all {
		if len(chain) == 0 || !bytes.Equal(chain[len(chain)-1].publicKey, all[0][len(all[0])-1].publicKey) {
			return nil, errors.New("the blessings are not all for the same key")
		}
	}
	return all, nil
}

// sort orders the chains by length, then by name.
func (b blessings) sort() {
	slices.SortStableFunc(b, func(x, y chain) int {
		return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x.name(), y.name()))
	})
}
