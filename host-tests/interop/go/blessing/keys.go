package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Purposes of signatures.
const (
	purposeMessage   = "S1"
	purposeBlessing  = "B1"
	purposeDischarge = "D1"
)

// hashNamed returns the hash function with the name. Names that are unknown mean SHA-512.
func hashNamed(name string) func(...[]byte) []byte {
	return func(parts ...[]byte) []byte {
		data := slices.Concat(parts...)
		switch name {
		case "SHA256":
			sum := sha256.Sum256(data)
			return sum[:]
		case "SHA384":
			sum := sha512.Sum384(data)
			return sum[:]
		}
		sum := sha512.Sum512(data)
		return sum[:]
	}
}

// publicKey is a public key with its encoding as SubjectPublicKeyInfo.
type publicKey struct {
	der []byte
	key crypto.PublicKey
}

func parsePublicKey(der []byte) (publicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return publicKey{}, err
	}
	switch key := key.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			return publicKey{}, errors.New("an RSA key is too short")
		}
	default:
		return publicKey{}, fmt.Errorf("keys of type %T are not supported", key)
	}
	return publicKey{der, key}, nil
}

// hash returns the name of the hash that belongs to the key.
func (k publicKey) hash() string {
	if key, isECDSA := k.key.(*ecdsa.PublicKey); isECDSA {
		switch bits := key.Params().BitSize; {
		case bits <= 256:
			return "SHA256"
		case bits <= 384:
			return "SHA384"
		}
	}
	return "SHA512"
}

// messageDigest returns the digest that the signature primitive signs, and F, whose hash it is.
func messageDigest(der, message, purpose []byte, hash string) (digest, f []byte) {
	h := hashNamed(hash)
	f = slices.Concat(h(der), h(message), h(purpose))
	return h(f), f
}

// verify tells whether the key signed the message. It takes whatever purpose and hash the signature names.
// A signature with the fields of another algorithm is refused.
func (k publicKey) verify(message []byte, s signature) bool {
	digest, f := messageDigest(k.der, message, s.purpose, s.hash)
	hasECDSA, hasEd25519, hasRSA := len(s.r)+len(s.s) > 0, len(s.ed25519) > 0, len(s.rsa1) > 0
	switch key := k.key.(type) {
	case *ecdsa.PublicKey:
		if hasEd25519 || hasRSA {
			return false
		}
		return ecdsa.Verify(key, digest, new(big.Int).SetBytes(s.r), new(big.Int).SetBytes(s.s))
	case ed25519.PublicKey:
		return !hasECDSA && !hasRSA && ed25519.Verify(key, digest, s.ed25519)
	case *rsa.PublicKey:
		hashes := map[string]crypto.Hash{"SHA256": crypto.SHA256, "SHA384": crypto.SHA384}
		hash := hashes[s.hash]
		if hash == 0 {
			hash = crypto.SHA512
		}
		return !hasECDSA && !hasEd25519 && rsa.VerifyPKCS1v15(key, hash, hashNamed(s.hash)(f), s.rsa1) == nil
	}
	return false
}

// isCanonical tells whether a signature has the one form in which careful signers write it: the key's own hash and no leading zeros.
func (k publicKey) isCanonical(s signature) bool {
	leadingZero := func(octets []byte) bool { return len(octets) > 0 && octets[0] == 0 }
	return s.hash == k.hash() && !leadingZero(s.r) && !leadingZero(s.s)
}

// privateKey signs.
type privateKey struct {
	publicKey
	signer crypto.Signer
}

// parsePrivateKey takes the kind (ed25519, p256, p384 or p521) and a seed or a scalar.
func parsePrivateKey(kind string, secret []byte) (*privateKey, error) {
	curves := map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()}
	var signer crypto.Signer
	switch curve := curves[kind]; {
	case kind == "ed25519" && len(secret) == ed25519.SeedSize:
		signer = ed25519.NewKeyFromSeed(secret)
	case curve != nil:
		scalar := make([]byte, (curve.Params().BitSize+7)/8)
		number := new(big.Int).SetBytes(secret)
		if number.BitLen() > len(scalar)*8 {
			return nil, errors.New("a private scalar is too long")
		}
		key, err := ecdsa.ParseRawPrivateKey(curve, number.FillBytes(scalar))
		if err != nil {
			return nil, err
		}
		signer = key
	default:
		return nil, fmt.Errorf("the private key is not of a known kind: %q with %d octets", kind, len(secret))
	}
	return newPrivateKey(signer)
}

func newPrivateKey(signer crypto.Signer) (*privateKey, error) {
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, err
	}
	public, err := parsePublicKey(der)
	return &privateKey{public, signer}, err
}

// parseKeyFlag takes KIND:HEX.
func parseKeyFlag(text string) (*privateKey, error) {
	kind, digits, _ := strings.Cut(text, ":")
	secret, err := hex.DecodeString(digits)
	if err != nil {
		return nil, err
	}
	return parsePrivateKey(kind, secret)
}

// anotherKey makes a new key of the same kind.
func (k *privateKey) anotherKey() (*privateKey, error) {
	if key, isECDSA := k.key.(*ecdsa.PublicKey); isECDSA {
		other, err := ecdsa.GenerateKey(key.Curve, rand.Reader)
		if err != nil {
			return nil, err
		}
		return newPrivateKey(other)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return newPrivateKey(other)
}

// sign signs a message for a purpose with the key's own hash.
func (k *privateKey) sign(message []byte, purpose string) (signature, error) {
	return k.signAs(message, purpose, k.hash())
}

// signAs signs with a hash of choice.
func (k *privateKey) signAs(message []byte, purpose, hash string) (signature, error) {
	digest, _ := messageDigest(k.der, message, []byte(purpose), hash)
	s := signature{purpose: []byte(purpose), hash: hash}
	switch key := k.signer.(type) {
	case ed25519.PrivateKey:
		s.ed25519 = ed25519.Sign(key, digest)
	case *ecdsa.PrivateKey:
		encoded, err := ecdsa.SignASN1(rand.Reader, key, digest)
		if err != nil {
			return s, err
		}
		s.r, s.s, err = splitSignature(encoded)
		return s, err
	default:
		return s, errors.New("the private key does not sign")
	}
	return s, nil
}

// order returns the order of an ECDSA key's group, and nothing for other keys.
func (k publicKey) order() *big.Int {
	if key, isECDSA := k.key.(*ecdsa.PublicKey); isECDSA {
		return key.Params().N
	}
	return nil
}
