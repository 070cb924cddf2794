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

// TestRecorded validates what another implementation made, and makes again what is deterministic.
func TestRecorded(t *testing.T) {
	path := os.Getenv("VECTORS")
	if path == "" {
		t.Skip("SKIPPED: VECTORS does not name the recorded authenticators")
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
	validated, remade := 0, 0
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
			asked, expected := helloRequest(one.Context, scheme, nil), helloRequest(nil, scheme, nil)
			if len(one.Request) > 0 {
				if asked, err = parseRequest(one.Request, typeCertificateRequest); err != nil {
					t.Fatal(name, err)
				}
				expected = asked
			}
			if !bytes.Equal(asked.context, one.Context) {
				t.Error(name, "context of the request")
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
				given, err := keys.parse(raw)
				if err != nil {
					return nil, err
				}
				_, err = keys.validate(expected, given, roots)
				if one.Empty && errors.Is(err, errEmpty) {
					err = nil
				}
				return given, err
			}
			given, err := check(keys, one.Authenticator)
			if err != nil {
				t.Error(name, err)
				continue
			}
			validated++
			if given.empty() != one.Empty || (!one.Empty && !bytes.Equal(given.context, one.Context)) {
				t.Error(name, "taken apart wrongly")
			}
			if !one.Empty && !bytes.Equal(given.entries[0], one.Certificate) {
				t.Error(name, "certificate")
			}
			if _, err := check(others, one.Authenticator); err == nil {
				t.Error(name, "valid with the other side's keys")
			}
			spoil(t, name, one.Authenticator, func(raw []byte) error {
				_, err := check(keys, raw)
				return err
			})
			var again []byte
			if one.Empty {
				again, err = keys.decline(asked)
			} else if scheme[0] == ed25519Scheme {
				identity := tls.Certificate{Certificate: [][]byte{one.Certificate}, PrivateKey: seed}
				again, err = keys.authenticate(asked, identity)
			} else {
				continue
			}
			if err != nil || !bytes.Equal(again, one.Authenticator) {
				t.Error(name, "made again otherwise", err)
			}
			remade++
		}
	}
	t.Log(validated, "valid,", remade, "made again")
	if validated == 0 || remade == 0 {
		t.Error("no vectors")
	}
}

// spoil sees every shorter and longer input and every changed octet refused.
func spoil(t *testing.T, name string, raw []byte, check func([]byte) error) {
	t.Helper()
	for i := range raw {
		if check(raw[:i]) == nil {
			t.Error(name, "valid with octets", i)
		}
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if check(changed) == nil {
			t.Error(name, "valid with another octet", i)
		}
	}
	if check(append(bytes.Clone(raw), 0)) == nil {
		t.Error(name, "valid with one octet more")
	}
}

// TestOwn is what ea-vector prints: each one validated at the other end, and here what must not be.
func TestOwn(t *testing.T) {
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
	given, err := peers.parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := peers.validate(request, given, issuer.pool)
	if err != nil || leaf.Subject.CommonName != "ecdsa" || leaf.DNSNames[0] != "second.example" {
		t.Fatal(err)
	}
	spoil(t, "own", raw, func(raw []byte) error {
		given, err := peers.parse(raw)
		if err == nil {
			_, err = peers.validate(request, given, issuer.pool)
		}
		return err
	})
	for what, validate := range map[string]func() (*x509.Certificate, error){
		"other request": func() (*x509.Certificate, error) { return peers.validate(other, given, issuer.pool) },
		"other roots":   func() (*x509.Certificate, error) { return peers.validate(request, given, x509.NewCertPool()) },
		"client unasked": func() (*x509.Certificate, error) {
			return peers.validate(helloRequest(nil, request.schemes, nil), given, issuer.pool)
		},
	} {
		if leaf, err := validate(); err == nil || leaf != nil {
			t.Error("valid:", what)
		}
	}
	if _, err := keys.authenticate(mustRequest(t, typeClientCertificateRequest), identity); err == nil {
		t.Error("a client answered a ClientCertificateRequest")
	}
	// An extension that was not asked for, under a right signature and a right Finished.
	for kind, block := range map[string][]byte{
		"unrequested": extension(5, nil), "not for Certificate": extension(extensionSignatureAlgorithms, nil),
	} {
		entry := append(prefixed(3, identity.Certificate[0]), prefixed(2, block)...)
		certificate := message(typeCertificate, prefixed(1, request.context), prefixed(3, entry))
		signature, err := sign(identity.PrivateKey.(crypto.Signer), ecdsaP256SHA256, keys.signedContent(request.raw, certificate))
		if err != nil {
			t.Fatal(err)
		}
		verify := message(typeCertificateVerify, numbers(ecdsaP256SHA256), prefixed(2, signature))
		finished := message(typeFinished, keys.verifyData(request.raw, certificate, verify))
		given, err := peers.parse(bytes.Join([][]byte{certificate, verify, finished}, nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := peers.validate(request, given, issuer.pool); err == nil {
			t.Error("valid with an extension", kind)
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
		what   string
		kind   int
		blocks []byte
		good   bool
	}{
		{"least", 13, algorithms, true},
		{"with a name", 17, append(bytes.Clone(name), algorithms...), true},
		{"unknown extension", 13, append(bytes.Clone(unknown), algorithms...), true},
		{"name in a CertificateRequest", 13, append(bytes.Clone(name), algorithms...), false},
		{"no extensions", 13, nil, false},
		{"no algorithms", 17, name, false},
		{"algorithms twice", 13, append(bytes.Clone(algorithms), algorithms...), false},
		{"half an algorithm", 13, extension(extensionSignatureAlgorithms, []byte{0, 3, 4, 3, 4}), false},
		{"no ASCII name", 17, with(extensionServerName, "\x00\x05\x00\x00\x02\xc3\xa4"), false},
		{"authorities", 17, with(extensionCertificateAuthorities, "\x00\x04\x00\x02\x30\x00"), true},
		{"no authorities", 17, with(extensionCertificateAuthorities, "\x00\x00"), false},
		{"an empty authority", 17, with(extensionCertificateAuthorities, "\x00\x02\x00\x00"), false},
		{"filters", 13, with(extensionOIDFilters, "\x00\x04\x01x\x00\x00"), true},
		{"no filters", 13, with(extensionOIDFilters, "\x00\x00"), true},
		{"half a filter", 13, with(extensionOIDFilters, "\x00\x02\x01x"), false},
		{"algorithms of certificates", 13, with(extensionSignatureAlgorithmsCert, "\x00\x02\x04\x03"), true},
		{"no algorithms of certificates", 13, with(extensionSignatureAlgorithmsCert, "\x00\x00"), false},
		{"list of none", 13, extension(extensionSignatureAlgorithms, []byte{0, 0}), false},
	} {
		raw := message(one.kind, prefixed(1, []byte("c")), prefixed(2, one.blocks))
		request, err := parseRequest(raw, one.kind)
		if (err == nil) != one.good || (err != nil && !errors.Is(err, errMalformed)) {
			t.Error(one.what, err)
		}
		if one.what == "with a name" && (err != nil || request.serverName != "a.test") {
			t.Error(one.what, err)
		}
		if _, err := parseRequest(append(raw, 0), one.kind); err == nil {
			t.Error(one.what, "with an octet more")
		}
		if _, err := parseRequest(raw, 13+17-one.kind); err == nil {
			t.Error(one.what, "as the other kind")
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
