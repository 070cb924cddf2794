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
	Certificate      string `json:"certificate"` // the leaf; empty if the authenticator is empty
	CA               string `json:"ca"`          // its issuer, the trust anchor
}

// eaVector prints authenticators created on connections in memory, each validated by the peer of its sender.
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
	ofClient, ofServer := typeCertificateRequest, typeClientCertificateRequest
	short, longest := []byte("spontaneous"), bytes.Repeat([]byte{0xc7}, 255)
	for _, one := range []struct {
		name, sender string
		kind         int // 0: spontaneous
		context      []byte
		serverName   string
		identity     *tls.Certificate // nil: empty
		sha384       bool             // random keys, because crypto/tls negotiates SHA-256
	}{
		{"ecdsa requested of client", "client", ofClient, nil, "", &ecdsaIdentity, false},
		{"ecdsa requested of server", "server", ofServer, nil, "second.example", &ecdsaIdentity, false},
		{"ecdsa requested of client, CA sent too", "client", ofClient, nil, "", &withCA, false},
		{"rsa_pss requested of client", "client", ofClient, nil, "", &rsaIdentity, false},
		{"rsa_pss requested of server", "server", ofServer, nil, "", &rsaIdentity, false},
		{"ed25519 requested of client", "client", ofClient, nil, "", &edIdentity, false},
		{"ed25519 requested of server", "server", ofServer, nil, "", &edIdentity, false},
		{"ecdsa spontaneous", "server", 0, short, "", &ecdsaIdentity, false},
		{"ed25519 spontaneous, context of 255 bytes", "server", 0, longest, "", &edIdentity, false},
		{"rsa_pss spontaneous, context of 0 bytes", "server", 0, []byte{}, "", &rsaIdentity, false},
		{"empty of client", "client", ofClient, nil, "", nil, false},
		{"empty of server", "server", ofServer, nil, "absent.example", nil, false},
		{"context of 0 bytes", "client", ofClient, []byte{}, "", &ecdsaIdentity, false},
		{"context of 255 bytes", "server", ofServer, longest, "", &ecdsaIdentity, false},
		{"empty of client, context of 0 bytes", "client", ofClient, []byte{}, "", nil, false},
		{"empty of server, context of 255 bytes", "server", ofServer, longest, "", nil, false},
		{"ecdsa requested of client, SHA-384", "client", ofClient, nil, "", &ecdsaIdentity, true},
		{"ed25519 spontaneous, SHA-384", "server", 0, short, "", &edIdentity, true},
		{"empty of client, SHA-384", "client", ofClient, nil, "", nil, true},
	} {
		connection, err := dialMemory(ecdsaIdentity, issuer)
		if err != nil {
			return nil, err
		}
		request := helloRequest(one.context, connection.schemes, connection.extensions)
		expected := helloRequest(nil, request.schemes, request.extensions)
		if one.kind != 0 {
			if one.context == nil {
				request, err = makeRequest(one.kind, one.serverName)
			} else {
				request, err = makeRequestWith(one.kind, one.context, one.serverName)
			}
			if err != nil {
				return nil, err
			}
			expected = request
		}
		keys, peer, err := connection.keys(one.sender, one.sha384)
		if err != nil {
			return nil, err
		}
		out := vector{Name: one.name, Sender: one.sender, Hash: keys.hash.String(), CA: hex.EncodeToString(issuer.certificate.Raw)}
		var raw []byte
		if one.identity != nil {
			raw, err = keys.authenticate(request, *one.identity)
			out.Certificate = hex.EncodeToString(one.identity.Certificate[0])
		} else {
			raw, err = keys.decline(request)
		}
		if err != nil {
			return nil, err
		}
		received, err := peer.parse(raw)
		if err != nil {
			return nil, err
		}
		_, err = peer.validate(expected, received, issuer.pool)
		if one.identity == nil && errors.Is(err, errEmpty) {
			err = nil
		}
		if err != nil {
			return nil, err
		}
		out.HandshakeContext = hex.EncodeToString(keys.handshakeContext)
		out.FinishedKey = hex.EncodeToString(keys.finishedKey)
		out.Request = hex.EncodeToString(request.raw)
		out.Context = hex.EncodeToString(request.context)
		out.Authenticator = hex.EncodeToString(raw)
		list = append(list, out)
	}
	return list, nil
}
