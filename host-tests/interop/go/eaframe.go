package main

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// Handshake types, extension types and signature schemes of RFC 8446 and RFC 9261.
const (
	typeCertificate              = 11
	typeCertificateRequest       = 13
	typeCertificateVerify        = 15
	typeClientCertificateRequest = 17
	typeFinished                 = 20

	extensionServerName              = 0
	extensionSignatureAlgorithms     = 13
	extensionCertificateAuthorities  = 47
	extensionOIDFilters              = 48
	extensionSignatureAlgorithmsCert = 50

	ecdsaP256SHA256  = 0x0403
	ed25519Scheme    = 0x0807
	rsaPSSRSAESHA256 = 0x0804
)

// errMalformed means that the bytes are not a request or not an authenticator, independently of the connection.
var errMalformed = errors.New("malformed")

func malformed(what string) error { return fmt.Errorf("%w: %s", errMalformed, what) }

// eaRequest is an authenticator request or, if raw is nil, the parts of a ClientHello that matter for spontaneous authentication.
type eaRequest struct {
	raw         []byte
	kind        int
	context     []byte
	schemes     []uint16
	authorities [][]byte // distinguished names; empty: any authority
	serverName  string
	extensions  []uint16
}

// helloRequest returns a request for spontaneous authenticators. The validator passes nil, because it expects no specific context.
func helloRequest(context []byte, schemes, extensions []uint16) *eaRequest {
	return &eaRequest{context: context, schemes: schemes, extensions: extensions}
}

// makeRequest is the "request" API (RFC 9261 section 7.1) with a random context.
func makeRequest(kind int, serverName string) (*eaRequest, error) {
	context := make([]byte, 16)
	rand.Read(context)
	return makeRequestWith(kind, context, serverName)
}

func makeRequestWith(kind int, context []byte, serverName string) (*eaRequest, error) {
	schemes := numbers(ecdsaP256SHA256, ed25519Scheme, rsaPSSRSAESHA256)
	extensions := extension(extensionSignatureAlgorithms, prefixed(2, schemes))
	if serverName != "" {
		host := append([]byte{0}, prefixed(2, []byte(serverName))...)
		extensions = append(extension(extensionServerName, prefixed(2, host)), extensions...)
	}
	// The request is parsed again, so that no request is created that the parser would reject.
	return parseRequest(message(kind, prefixed(1, context), prefixed(2, extensions)), kind)
}

// parseRequest parses a whole handshake message of this kind.
func parseRequest(raw []byte, kind int) (*eaRequest, error) {
	if kind != typeCertificateRequest && kind != typeClientCertificateRequest {
		return nil, errors.New("the message type is not a request")
	}
	outer := reader{rest: raw}
	body := reader{rest: outer.message(kind)}
	context := body.vector(1)
	block := body.vector(2)
	if !outer.done() || !body.done() {
		return nil, malformed("request")
	}
	types, bodies, ok := parseExtensions(block)
	if !ok {
		return nil, malformed("extensions of the request")
	}
	request := &eaRequest{raw: bytes.Clone(raw), kind: kind, context: context, extensions: types}
	algorithms, found := bodies[extensionSignatureAlgorithms]
	if !found {
		return nil, malformed("missing signature_algorithms")
	}
	if request.schemes, ok = parseSchemes(algorithms); !ok {
		return nil, malformed("signature_algorithms")
	}
	if algorithms, found = bodies[extensionSignatureAlgorithmsCert]; found {
		if _, ok = parseSchemes(algorithms); !ok {
			return nil, malformed("signature_algorithms_cert")
		}
	}
	if names, found := bodies[extensionCertificateAuthorities]; found {
		if request.authorities, ok = parseAuthorities(names); !ok {
			return nil, malformed("certificate_authorities")
		}
	}
	if filters, found := bodies[extensionOIDFilters]; found && !parseFilters(filters) {
		return nil, malformed("oid_filters")
	}
	if name, found := bodies[extensionServerName]; found {
		// RFC 9261 section 8.1: the "CR" of server_name is only for ClientCertificateRequest.
		if kind != typeClientCertificateRequest {
			return nil, malformed("server_name in a CertificateRequest")
		}
		if request.serverName, ok = parseServerName(name); !ok {
			return nil, malformed("server_name")
		}
	}
	return request, nil
}

func parseSchemes(body []byte) (out []uint16, ok bool) {
	outer := reader{rest: body}
	list := reader{rest: outer.vector(2)}
	for !list.failed && len(list.rest) > 0 {
		out = append(out, uint16(list.number(2)))
	}
	return out, outer.done() && list.done() && len(out) > 0
}

// parseAuthorities parses certificate_authorities (RFC 8446 section 4.2.4).
func parseAuthorities(body []byte) (out [][]byte, ok bool) {
	outer := reader{rest: body}
	list := reader{rest: outer.vector(2)}
	for !list.failed && len(list.rest) > 0 {
		name := list.vector(2)
		if len(name) == 0 {
			return nil, false
		}
		out = append(out, name)
	}
	return out, outer.done() && list.done() && len(out) > 0
}

// parseFilters checks the syntax of oid_filters (RFC 8446 section 4.2.5). The filters are not applied.
func parseFilters(body []byte) bool {
	outer := reader{rest: body}
	list := reader{rest: outer.vector(2)}
	for !list.failed && len(list.rest) > 0 {
		if len(list.vector(1)) == 0 {
			return false
		}
		list.vector(2)
	}
	return outer.done() && list.done()
}

// from returns true if one of the certificates was issued by an authority that the request names.
func (r *eaRequest) from(chain [][]byte) bool {
	return len(r.authorities) == 0 || slices.ContainsFunc(chain, func(der []byte) bool {
		certificate, err := x509.ParseCertificate(der)
		return err == nil && slices.ContainsFunc(r.authorities, func(name []byte) bool {
			return bytes.Equal(name, certificate.RawIssuer)
		})
	})
}

// parseServerName parses server_name (RFC 6066 section 3), which has one name, because there is only one name type.
func parseServerName(body []byte) (string, bool) {
	outer := reader{rest: body}
	list := reader{rest: outer.vector(2)}
	nameType := list.number(1)
	name := list.vector(2)
	invalid := func(octet byte) bool { return octet <= ' ' || octet >= 0x7f }
	return string(name), outer.done() && list.done() && nameType == 0 && len(name) > 0 && !slices.ContainsFunc(name, invalid)
}

// parseExtensions returns the types in their order, and the bodies by type. A repeated type is an error.
func parseExtensions(block []byte) (types []uint16, bodies map[uint16][]byte, ok bool) {
	bodies = map[uint16][]byte{}
	in := reader{rest: block}
	for !in.failed && len(in.rest) > 0 {
		kind := uint16(in.number(2))
		body := in.vector(2)
		if slices.Contains(types, kind) {
			return nil, nil, false
		}
		types = append(types, kind)
		bodies[kind] = body
	}
	return types, bodies, in.done()
}

// reader parses TLS presentation language. After the first failure it returns only empty values.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(length int) []byte {
	if r.failed || length > len(r.rest) {
		r.failed = true
		return nil
	}
	out := r.rest[:length:length]
	r.rest = r.rest[length:]
	return out
}

func (r *reader) number(size int) (out int) {
	for _, octet := range r.take(size) {
		out = out<<8 | int(octet)
	}
	return out
}

func (r *reader) vector(size int) []byte { return r.take(r.number(size)) }

func (r *reader) message(kind int) []byte {
	if r.number(1) != kind {
		r.failed = true
	}
	return r.vector(3)
}

func (r *reader) done() bool { return !r.failed && len(r.rest) == 0 }

func prefixed(size int, body []byte) []byte {
	out := make([]byte, size, size+len(body))
	for i := range size {
		out[i] = byte(len(body) >> (8 * (size - 1 - i)))
	}
	if len(body)>>(8*size) != 0 {
		panic("too long for its length field")
	}
	return append(out, body...)
}

func message(kind int, parts ...[]byte) []byte {
	return append([]byte{byte(kind)}, prefixed(3, bytes.Join(parts, nil))...)
}

func extension(kind uint16, body []byte) []byte {
	return append(numbers(kind), prefixed(2, body)...)
}

func numbers(in ...uint16) (out []byte) {
	for _, one := range in {
		out = append(out, byte(one>>8), byte(one))
	}
	return out
}
