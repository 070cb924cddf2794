package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// notForCertificate are the extensions of requests that must not appear in Certificate (RFC 8446 section 4.2).
var notForCertificate = []uint16{
	extensionServerName, extensionSignatureAlgorithms, extensionCertificateAuthorities, extensionOIDFilters, extensionSignatureAlgorithmsCert,
}

// errEmpty means that the peer declined: it sent an empty authenticator with a valid Finished.
var errEmpty = errors.New("empty authenticator")

// eaKeys are the exported values (RFC 9261 section 5.1) for one sender, "client" or "server".
type eaKeys struct {
	sender           string
	hash             crypto.Hash
	handshakeContext []byte
	finishedKey      []byte
}

func exportedKeys(state *tls.ConnectionState, sender string) (eaKeys, error) {
	keys := eaKeys{sender: sender}
	if state.Version != tls.VersionTLS13 || !state.HandshakeComplete {
		return keys, errors.New("the connection is not TLS 1.3, or its handshake is incomplete")
	}
	switch state.CipherSuite {
	case tls.TLS_AES_128_GCM_SHA256, tls.TLS_CHACHA20_POLY1305_SHA256:
		keys.hash = crypto.SHA256
	case tls.TLS_AES_256_GCM_SHA384:
		keys.hash = crypto.SHA384
	default:
		return keys, fmt.Errorf("unknown hash of cipher suite %#04x", state.CipherSuite)
	}
	var err error
	export := func(name string) []byte {
		out, failed := state.ExportKeyingMaterial("EXPORTER-"+sender+" authenticator "+name, nil, keys.hash.Size())
		err = errors.Join(err, failed)
		return out
	}
	keys.handshakeContext = export("handshake context")
	keys.finishedKey = export("finished key")
	return keys, err
}

func (k eaKeys) transcript(messages ...[]byte) []byte {
	hash := k.hash.New()
	hash.Write(k.handshakeContext)
	for _, one := range messages {
		hash.Write(one)
	}
	return hash.Sum(nil)
}

func (k eaKeys) verifyData(messages ...[]byte) []byte {
	mac := hmac.New(k.hash.New, k.finishedKey)
	mac.Write(k.transcript(messages...))
	return mac.Sum(nil)
}

// signedContent returns the content that CertificateVerify signs.
func (k eaKeys) signedContent(messages ...[]byte) []byte {
	out := bytes.Repeat([]byte{0x20}, 64)
	out = append(out, "Exported Authenticator\x00"...)
	return append(out, k.transcript(messages...)...)
}

// mayAnswer returns true if this sender may answer the request: clients answer CertificateRequests, servers
// ClientCertificateRequests and ClientHellos.
func (k eaKeys) mayAnswer(request *eaRequest) bool {
	if k.sender == "client" {
		return request.kind == typeCertificateRequest
	}
	return request.raw == nil || request.kind == typeClientCertificateRequest
}

// authenticate is the "authenticate" API (RFC 9261 section 7.3) with an identity that the caller has chosen.
func (k eaKeys) authenticate(request *eaRequest, identity tls.Certificate) ([]byte, error) {
	if !k.mayAnswer(request) {
		return nil, errors.New("the request is not from the peer's side")
	}
	signer, ok := identity.PrivateKey.(crypto.Signer)
	if !ok || len(identity.Certificate) == 0 {
		return nil, errors.New("the identity has no signing key or no certificate")
	}
	scheme := schemeOf(signer.Public())
	if scheme == 0 || !slices.Contains(request.schemes, scheme) {
		return nil, errors.New("the request has no signature scheme for this key")
	}
	var list []byte
	for _, one := range identity.Certificate {
		list = append(list, prefixed(3, one)...)
		list = append(list, 0, 0)
	}
	certificate := message(typeCertificate, prefixed(1, request.context), prefixed(3, list))
	signature, err := sign(signer, scheme, k.signedContent(request.raw, certificate))
	if err != nil {
		return nil, err
	}
	verify := message(typeCertificateVerify, numbers(scheme), prefixed(2, signature))
	finished := message(typeFinished, k.verifyData(request.raw, certificate, verify))
	return slices.Concat(certificate, verify, finished), nil
}

// decline creates an empty authenticator (RFC 9261 section 6). The Certificate message in its transcript is not sent; it has the
// context of the request.
func (k eaKeys) decline(request *eaRequest) ([]byte, error) {
	if request.raw == nil || !k.mayAnswer(request) {
		return nil, errors.New("there is no request of the peer to decline")
	}
	return message(typeFinished, k.verifyData(request.raw, emptyCertificate(request))), nil
}

func emptyCertificate(request *eaRequest) []byte {
	return message(typeCertificate, prefixed(1, request.context), prefixed(3, nil))
}

// authenticator is a parsed authenticator that has not been validated. An empty one has only verifyData.
type authenticator struct {
	context             []byte
	entries             [][]byte
	extensions          []uint16 // of all entries
	scheme              uint16
	signature           []byte
	verifyData          []byte
	certificate, verify []byte // the messages
}

func (a *authenticator) empty() bool { return a.certificate == nil }

func (k eaKeys) parse(raw []byte) (*authenticator, error) {
	out := &authenticator{}
	in := reader{rest: raw}
	if len(raw) > 0 && raw[0] != typeFinished {
		body := reader{rest: in.message(typeCertificate)}
		out.certificate = raw[:len(raw)-len(in.rest)]
		out.context = body.vector(1)
		list := reader{rest: body.vector(3)}
		for !list.failed && len(list.rest) > 0 {
			entry := list.vector(3)
			types, _, ok := parseExtensions(list.vector(2))
			if !ok || len(entry) == 0 {
				return nil, malformed("certificate entry")
			}
			out.entries = append(out.entries, entry)
			out.extensions = append(out.extensions, types...)
		}
		if !body.done() || !list.done() || len(out.entries) == 0 {
			return nil, malformed("Certificate")
		}
		start := len(raw) - len(in.rest)
		body = reader{rest: in.message(typeCertificateVerify)}
		out.verify = raw[start : len(raw)-len(in.rest)]
		out.scheme = uint16(body.number(2))
		out.signature = body.vector(2)
		if !body.done() {
			return nil, malformed("CertificateVerify")
		}
	}
	out.verifyData = in.message(typeFinished)
	if !in.done() || len(out.verifyData) != k.hash.Size() {
		return nil, malformed("Finished")
	}
	return out, nil
}

// validate is the "validate" API (RFC 9261 section 7.4). It returns the leaf certificate, or errEmpty for a valid empty
// authenticator. The caller must ensure that each request is answered only once, and that spontaneous contexts are not reused.
func (k eaKeys) validate(request *eaRequest, a *authenticator, roots *x509.CertPool) (*x509.Certificate, error) {
	if !k.mayAnswer(request) {
		return nil, errors.New("the sender may not answer this request")
	}
	if a.empty() {
		if request.raw == nil {
			return nil, errors.New("empty authenticator without a request")
		}
		if !hmac.Equal(a.verifyData, k.verifyData(request.raw, emptyCertificate(request))) {
			return nil, errors.New("invalid Finished of an empty authenticator")
		}
		return nil, errEmpty
	}
	if request.raw != nil && !bytes.Equal(a.context, request.context) {
		return nil, errors.New("the context is not that of the request")
	}
	for _, kind := range a.extensions {
		if !slices.Contains(request.extensions, kind) || slices.Contains(notForCertificate, kind) {
			return nil, fmt.Errorf("unsolicited extension %d of a certificate entry", kind)
		}
	}
	if !hmac.Equal(a.verifyData, k.verifyData(request.raw, a.certificate, a.verify)) {
		return nil, errors.New("invalid Finished")
	}
	chain := make([]*x509.Certificate, len(a.entries))
	for i, der := range a.entries {
		var err error
		if chain[i], err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	leaf := chain[0]
	if !slices.Contains(request.schemes, a.scheme) || schemeOf(leaf.PublicKey) != a.scheme {
		return nil, fmt.Errorf("unsuitable signature scheme %04x", a.scheme)
	}
	if !verifySignature(leaf.PublicKey, k.signedContent(request.raw, a.certificate), a.signature) {
		return nil, errors.New("invalid signature")
	}
	if err := k.verifyPath(chain, roots); err != nil {
		return nil, err
	}
	return leaf, nil
}

func (k eaKeys) verifyPath(chain []*x509.Certificate, roots *x509.CertPool) error {
	leaf := chain[0]
	if leaf.Version != 3 {
		return errors.New("the certificate is not X.509v3")
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return errors.New("the key usage does not include digitalSignature")
	}
	usage := x509.ExtKeyUsageServerAuth
	if k.sender == "client" {
		usage = x509.ExtKeyUsageClientAuth
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{usage}}
	for _, one := range chain[1:] {
		options.Intermediates.AddCert(one)
	}
	_, err := leaf.Verify(options)
	return err
}

// schemeOf returns the only signature scheme that this program uses with a key, or 0 if it does not support the key.
func schemeOf(key crypto.PublicKey) uint16 {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return ecdsaP256SHA256
		}
	case ed25519.PublicKey:
		return ed25519Scheme
	case *rsa.PublicKey:
		return rsaPSSRSAESHA256
	}
	return 0
}

var pss = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

func sign(signer crypto.Signer, scheme uint16, content []byte) ([]byte, error) {
	digest := sha256.Sum256(content)
	switch scheme {
	case ecdsaP256SHA256:
		return signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	case rsaPSSRSAESHA256:
		return signer.Sign(rand.Reader, digest[:], pss)
	default:
		return signer.Sign(rand.Reader, content, crypto.Hash(0))
	}
}

func verifySignature(key crypto.PublicKey, content, signature []byte) bool {
	digest := sha256.Sum256(content)
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest[:], signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, content, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, pss) == nil
	}
	return false
}
