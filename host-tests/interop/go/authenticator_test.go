package main

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"
)

type octets []byte

func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = hex.DecodeString(string(text))
	return err
}

type recorded struct {
	Sessions []struct {
		Hash                   string
		ClientFinishedKey      octets `json:"client_finished_key"`
		ClientHandshakeContext octets `json:"client_handshake_context"`
		ServerFinishedKey      octets `json:"server_finished_key"`
		ServerHandshakeContext octets `json:"server_handshake_context"`
		Authenticators         []struct {
			Name, Sender                                 string
			Empty                                        bool
			Authenticator, Certificate, Context, Request octets
			SignatureScheme                              octets `json:"signature_scheme"`
		}
	}
}

// TestRecorded validates authenticators of another implementation, and reproduces those with deterministic signatures.
func TestRecorded(t *testing.T) {
	path := os.Getenv("VECTORS")
	if path == "" {
		t.Skip("SKIPPED: set VECTORS to the file of recorded authenticators")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all recorded
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	seed := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	validated, reproduced := 0, 0
	for _, session := range all.Sessions {
		hash := crypto.SHA256
		if session.Hash == "SHA-384" {
			hash = crypto.SHA384
		}
		ofClient := eaKeys{"client", hash, session.ClientHandshakeContext, session.ClientFinishedKey}
		ofServer := eaKeys{"server", hash, session.ServerHandshakeContext, session.ServerFinishedKey}
		for _, one := range session.Authenticators {
			name := session.Hash + " " + one.Name
			keys, others := ofClient, ofServer
			if one.Sender == "server" {
				keys, others = ofServer, ofClient
			}
			others.sender = keys.sender
			var scheme []uint16
			if !one.Empty {
				scheme = []uint16{uint16(one.SignatureScheme[0])<<8 | uint16(one.SignatureScheme[1])}
			}
			request, expected := helloRequest(one.Context, scheme, nil), helloRequest(nil, scheme, nil)
			if len(one.Request) > 0 {
				if request, err = parseRequest(one.Request, typeCertificateRequest); err != nil {
					t.Fatal(name, err)
				}
				expected = request
			}
			if !bytes.Equal(request.context, one.Context) {
				t.Error(name, "wrong context of the request")
			}
			roots := x509.NewCertPool()
			if !one.Empty {
				leaf, err := x509.ParseCertificate(one.Certificate)
				if err != nil {
					t.Fatal(name, err)
				}
				roots.AddCert(leaf)
			}
			check := func(keys eaKeys, raw []byte) (*authenticator, error) {
				parsed, err := keys.parse(raw)
				if err != nil {
					return nil, err
				}
				_, err = keys.validate(expected, parsed, roots)
				if one.Empty && errors.Is(err, errEmpty) {
					err = nil
				}
				return parsed, err
			}
			parsed, err := check(keys, one.Authenticator)
			if err != nil {
				t.Error(name, err)
				continue
			}
			validated++
			if parsed.empty() != one.Empty || (!one.Empty && !bytes.Equal(parsed.context, one.Context)) {
				t.Error(name, "parsed incorrectly")
			}
			if !one.Empty && !bytes.Equal(parsed.entries[0], one.Certificate) {
				t.Error(name, "wrong certificate")
			}
			if _, err := check(others, one.Authenticator); err == nil {
				t.Error(name, "valid with the keys of the other side")
			}
			expectChangesRejected(t, name, one.Authenticator, func(raw []byte) error {
				_, err := check(keys, raw)
				return err
			})
			var reproduction []byte
			if one.Empty {
				reproduction, err = keys.decline(request)
			} else if scheme[0] == ed25519Scheme {
				identity := tls.Certificate{Certificate: [][]byte{one.Certificate}, PrivateKey: seed}
				reproduction, err = keys.authenticate(request, identity)
			} else {
				continue
			}
			if err != nil || !bytes.Equal(reproduction, one.Authenticator) {
				t.Error(name, "not reproduced", err)
			}
			reproduced++
		}
	}
	t.Log(validated, "valid,", reproduced, "reproduced")
	if validated == 0 || reproduced == 0 {
		t.Error("no vectors")
	}
}

// expectChangesRejected checks that every truncated input, every changed octet and an additional octet are rejected.
func expectChangesRejected(t *testing.T, name string, raw []byte, check func([]byte) error) {
	t.Helper()
	for i := range raw {
		if check(raw[:i]) == nil {
			t.Error(name, "valid if truncated to octets:", i)
		}
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if check(changed) == nil {
			t.Error(name, "valid with changed octet", i)
		}
	}
	if check(append(bytes.Clone(raw), 0)) == nil {
		t.Error(name, "valid with an additional octet")
	}
}

// TestGenerated creates the authenticators that ea-vector prints, which validates them, and checks that invalid ones are rejected.
func TestGenerated(t *testing.T) {
	issuer, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	if list, err := makeVectors(issuer); err != nil || len(list) == 0 {
		t.Fatal(err)
	}
	identity, _, _, err := issuer.identities()
	if err != nil {
		t.Fatal(err)
	}
	connection, err := dialMemory(identity, issuer)
	if err != nil {
		t.Fatal(err)
	}
	keys, peers, err := connection.keys("client", false)
	if err != nil {
		t.Fatal(err)
	}
	request, other := mustRequest(t, typeCertificateRequest), mustRequest(t, typeCertificateRequest)
	raw, err := keys.authenticate(request, identity)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := peers.parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := peers.validate(request, parsed, issuer.pool)
	if err != nil || leaf.Subject.CommonName != "ecdsa" || leaf.DNSNames[0] != "second.example" {
		t.Fatal(err)
	}
	expectChangesRejected(t, "generated", raw, func(raw []byte) error {
		parsed, err := peers.parse(raw)
		if err == nil {
			_, err = peers.validate(request, parsed, issuer.pool)
		}
		return err
	})
	for name, validate := range map[string]func() (*x509.Certificate, error){
		"other request": func() (*x509.Certificate, error) { return peers.validate(other, parsed, issuer.pool) },
		"other roots":   func() (*x509.Certificate, error) { return peers.validate(request, parsed, x509.NewCertPool()) },
		"spontaneous authenticator of a client": func() (*x509.Certificate, error) {
			return peers.validate(helloRequest(nil, request.schemes, nil), parsed, issuer.pool)
		},
	} {
		if leaf, err := validate(); err == nil || leaf != nil {
			t.Error("valid:", name)
		}
	}
	if _, err := keys.authenticate(mustRequest(t, typeClientCertificateRequest), identity); err == nil {
		t.Error("a client answered a ClientCertificateRequest")
	}
	// An unsolicited extension with a valid signature and a valid Finished.
	for kind, block := range map[string][]byte{
		"unsolicited": extension(5, nil), "not allowed in Certificate": extension(extensionSignatureAlgorithms, nil),
	} {
		entry := append(prefixed(3, identity.Certificate[0]), prefixed(2, block)...)
		certificate := message(typeCertificate, prefixed(1, request.context), prefixed(3, entry))
		signature, err := sign(identity.PrivateKey.(crypto.Signer), ecdsaP256SHA256, keys.signedContent(request.raw, certificate))
		if err != nil {
			t.Fatal(err)
		}
		verify := message(typeCertificateVerify, numbers(ecdsaP256SHA256), prefixed(2, signature))
		finished := message(typeFinished, keys.verifyData(request.raw, certificate, verify))
		parsed, err := peers.parse(bytes.Join([][]byte{certificate, verify, finished}, nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := peers.validate(request, parsed, issuer.pool); err == nil {
			t.Error("valid with an extension that is", kind)
		}
	}
}

func mustRequest(t *testing.T, kind int) *eaRequest {
	t.Helper()
	request, err := makeRequest(kind, "")
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func TestRequests(t *testing.T) {
	algorithms := extension(extensionSignatureAlgorithms, prefixed(2, numbers(ecdsaP256SHA256)))
	name := extension(extensionServerName, []byte("\x00\x09\x00\x00\x06a.test"))
	unknown := extension(0xfafa, []byte("?"))
	with := func(kind uint16, body string) []byte { return append(extension(kind, []byte(body)), algorithms...) }
	for _, one := range []struct {
		name   string
		kind   int
		blocks []byte
		valid  bool
	}{
		{"minimum", 13, algorithms, true},
		{"server name", 17, append(bytes.Clone(name), algorithms...), true},
		{"unknown extension", 13, append(bytes.Clone(unknown), algorithms...), true},
		{"server name in a CertificateRequest", 13, append(bytes.Clone(name), algorithms...), false},
		{"no extensions", 13, nil, false},
		{"no algorithms", 17, name, false},
		{"repeated algorithms", 13, append(bytes.Clone(algorithms), algorithms...), false},
		{"truncated algorithm", 13, extension(extensionSignatureAlgorithms, []byte{0, 3, 4, 3, 4}), false},
		{"server name not in ASCII", 17, with(extensionServerName, "\x00\x05\x00\x00\x02\xc3\xa4"), false},
		{"authorities", 17, with(extensionCertificateAuthorities, "\x00\x04\x00\x02\x30\x00"), true},
		{"empty list of authorities", 17, with(extensionCertificateAuthorities, "\x00\x00"), false},
		{"empty authority", 17, with(extensionCertificateAuthorities, "\x00\x02\x00\x00"), false},
		{"filters", 13, with(extensionOIDFilters, "\x00\x04\x01x\x00\x00"), true},
		{"empty list of filters", 13, with(extensionOIDFilters, "\x00\x00"), true},
		{"truncated filter", 13, with(extensionOIDFilters, "\x00\x02\x01x"), false},
		{"certificate algorithms", 13, with(extensionSignatureAlgorithmsCert, "\x00\x02\x04\x03"), true},
		{"empty list of certificate algorithms", 13, with(extensionSignatureAlgorithmsCert, "\x00\x00"), false},
		{"empty list of algorithms", 13, extension(extensionSignatureAlgorithms, []byte{0, 0}), false},
	} {
		raw := message(one.kind, prefixed(1, []byte("c")), prefixed(2, one.blocks))
		request, err := parseRequest(raw, one.kind)
		if (err == nil) != one.valid || (err != nil && !errors.Is(err, errMalformed)) {
			t.Error(one.name, err)
		}
		if one.name == "server name" && (err != nil || request.serverName != "a.test") {
			t.Error(one.name, err)
		}
		if _, err := parseRequest(append(raw, 0), one.kind); err == nil {
			t.Error(one.name, "with an additional octet")
		}
		if _, err := parseRequest(raw, 13+17-one.kind); err == nil {
			t.Error(one.name, "as the other message type")
		}
	}
}

func TestChallenges(t *testing.T) {
	for fields, expected := range map[*[]string]string{
		{`Exported-Authenticator realm="a, b", request="DQAA"`}:                              "DQAA",
		{`exported-authenticator request=DQAA`}:                                              "DQAA",
		{`Basic realm="request=\"x\""`, `EXPORTED-AUTHENTICATOR new="1" , Request = "DQAA"`}: "DQAA",
		{`Negotiate abc==, Exported-Authenticator request="DQAA", Bearer request="no"`}:      "DQAA",
		{`Exported-Authenticator request="DQAA", Exported-Authenticator request="EE"`}:       "DQAA",
		{`Bearer request="DQAA"`}:                                 "",
		{`Exported-Authenticator request="DQAA", request="DQAB"`}: "",
		{}: "",
	} {
		if got, err := challengedRequest(*fields); got != expected || (err == nil) != (expected != "") {
			t.Error(*fields, got, err)
		}
	}
}
