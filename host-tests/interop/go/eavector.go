package main

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
)

type vector struct {
	Name             string `json:"name"`
	Sender           string `json:"sender"`
	Hash             string `json:"hash"`
	HandshakeContext string `json:"handshake_context"`
	FinishedKey      string `json:"finished_key"`
	Request          string `json:"request"` // empty: spontaneous
	Context          string `json:"context"`
	Authenticator    string `json:"authenticator"`
	Certificate      string `json:"certificate"` // the leaf, empty if the authenticator is
	CA               string `json:"ca"`          // its issuer, the trust anchor
}

// eaVector prints authenticators that were made on a connection in memory, each validated at its other end.
func eaVector(arguments []string) error {
	flags := flag.NewFlagSet("ea-vector", flag.ExitOnError)
	flags.Parse(arguments)
	issuer, err := newAuthority()
	if err != nil {
		return err
	}
	list, err := makeVectors(issuer)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for _, one := range list {
		if err := out.Encode(one); err != nil {
			return err
		}
	}
	return nil
}

func makeVectors(issuer *authority) (list []vector, err error) {
	ecdsaIdentity, rsaIdentity, edIdentity, err := issuer.identities()
	if err != nil {
		return nil, err
	}
	withCA := ecdsaIdentity
	withCA.Certificate = append(withCA.Certificate[:1:1], issuer.certificate.Raw)
	request, serverRequest := typeCertificateRequest, typeClientCertificateRequest
	short, longest := []byte("spontaneous"), bytes.Repeat([]byte{0xc7}, 255)
	for _, one := range []struct {
		name, sender string
		kind         int // 0: spontaneous
		context      []byte
		serverName   string
		identity     *tls.Certificate // nil: empty
		sha384       bool             // with keys of no connection: Go's own end of one chooses SHA-256
	}{
		{"ecdsa requested of client", "client", request, nil, "", &ecdsaIdentity, false},
		{"ecdsa requested of server", "server", serverRequest, nil, "second.example", &ecdsaIdentity, false},
		{"ecdsa requested of client, CA sent too", "client", request, nil, "", &withCA, false},
		{"rsa_pss requested of client", "client", request, nil, "", &rsaIdentity, false},
		{"rsa_pss requested of server", "server", serverRequest, nil, "", &rsaIdentity, false},
		{"ed25519 requested of client", "client", request, nil, "", &edIdentity, false},
		{"ed25519 requested of server", "server", serverRequest, nil, "", &edIdentity, false},
		{"ecdsa spontaneous", "server", 0, short, "", &ecdsaIdentity, false},
		{"ed25519 spontaneous, context of 255 bytes", "server", 0, longest, "", &edIdentity, false},
		{"rsa_pss spontaneous, context of 0 bytes", "server", 0, []byte{}, "", &rsaIdentity, false},
		{"empty of client", "client", request, nil, "", nil, false},
		{"empty of server", "server", serverRequest, nil, "absent.example", nil, false},
		{"context of 0 bytes", "client", request, []byte{}, "", &ecdsaIdentity, false},
		{"context of 255 bytes", "server", serverRequest, longest, "", &ecdsaIdentity, false},
		{"empty of client, context of 0 bytes", "client", request, []byte{}, "", nil, false},
		{"empty of server, context of 255 bytes", "server", serverRequest, longest, "", nil, false},
		{"ecdsa requested of client, SHA-384", "client", request, nil, "", &ecdsaIdentity, true},
		{"ed25519 spontaneous, SHA-384", "server", 0, short, "", &edIdentity, true},
		{"empty of client, SHA-384", "client", request, nil, "", nil, true},
	} {
		connection, err := dialMemory(ecdsaIdentity, issuer)
		if err != nil {
			return nil, err
		}
		asked := helloRequest(one.context, connection.schemes, connection.extensions)
		expected := helloRequest(nil, asked.schemes, asked.extensions)
		if one.kind != 0 {
			if one.context == nil {
				asked, err = makeRequest(one.kind, one.serverName)
			} else {
				asked, err = makeRequestWith(one.kind, one.context, one.serverName)
			}
			if err != nil {
				return nil, err
			}
			expected = asked
		}
		keys, peer, err := connection.keys(one.sender, one.sha384)
		if err != nil {
			return nil, err
		}
		made := vector{Name: one.name, Sender: one.sender, Hash: keys.hash.String(), CA: hex.EncodeToString(issuer.certificate.Raw)}
		var raw []byte
		if one.identity != nil {
			raw, err = keys.authenticate(asked, *one.identity)
			made.Certificate = hex.EncodeToString(one.identity.Certificate[0])
		} else {
			raw, err = keys.decline(asked)
		}
		if err != nil {
			return nil, err
		}
		given, err := peer.parse(raw)
		if err != nil {
			return nil, err
		}
		_, err = peer.validate(expected, given, issuer.pool)
		if one.identity == nil && errors.Is(err, errEmpty) {
			err = nil
		}
		if err != nil {
			return nil, err
		}
		made.HandshakeContext = hex.EncodeToString(keys.handshakeContext)
		made.FinishedKey = hex.EncodeToString(keys.finishedKey)
		made.Request = hex.EncodeToString(asked.raw)
		made.Context = hex.EncodeToString(asked.context)
		made.Authenticator = hex.EncodeToString(raw)
		list = append(list, made)
	}
	return list, nil
}
