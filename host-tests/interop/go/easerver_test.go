package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"testing"
)

// dialHandler starts an ea-server and opens one connection to it.
func dialHandler(t *testing.T, second bool) (eaPeer, tls.Certificate, *authority) {
	t.Helper()
	issuer, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	identity, _, edwards, err := issuer.identities()
	if err != nil {
		t.Fatal(err)
	}
	handler := eaHandler{roots: issuer.pool}
	if second {
		edwards.Leaf, _ = x509.ParseCertificate(edwards.Certificate[0])
		handler.second = &edwards
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := handler.server()
	go server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{identity}}))
	config := &tls.Config{RootCAs: issuer.pool, ServerName: "second.example"}
	connection, err := tls.Dial("tcp", listener.Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		connection.Close()
		server.Close()
	})
	return eaPeer{connection, bufio.NewReader(connection), "https://second.example/get"}, identity, issuer
}

func (p eaPeer) expect(t *testing.T, name string, header http.Header, status int) *http.Response {
	t.Helper()
	response, body, err := p.get(header)
	if err != nil {
		t.Fatal(name, err)
	}
	if response.StatusCode != status {
		t.Fatal(name, response.Status, body)
	}
	return response
}

func (p eaPeer) challenge(t *testing.T, response *http.Response) *eaRequest {
	t.Helper()
	text, err := challengedRequest(response.Header.Values("WWW-Authenticate"))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := decode(text, maxRequestBytes)
	request, err := parseRequest(raw, typeCertificateRequest)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func authorization(text ...string) http.Header { return http.Header{"Authorization": text} }

func TestServer(t *testing.T) {
	peer, identity, _ := dialHandler(t, false)
	state := peer.connection.ConnectionState()
	keys, err := exportedKeys(&state, "client")
	if err != nil {
		t.Fatal(err)
	}
	answer := func(request *eaRequest) []byte {
		raw, err := keys.authenticate(request, identity)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	prove := func(request *eaRequest) string { return eaScheme + " " + encode(answer(request)) }
	first := peer.challenge(t, peer.expect(t, "no proof", nil, 401))
	again := peer.challenge(t, peer.expect(t, "no proof again", nil, 401))
	if string(first.raw) != string(again.raw) {
		t.Error("an open request was not repeated")
	}
	proof := prove(first)
	for name, header := range map[string]http.Header{
		"invalid base64":                    authorization(eaScheme + " *"),
		"excess padding":                    authorization(eaScheme + " AAAA===="),
		"no authenticator":                  authorization(eaScheme),
		"truncated":                         authorization(proof[:len(proof)-8]),
		"trailing bytes":                    authorization(proof + "AAAA"),
		"repeated field":                    authorization(proof, proof),
		"too long":                          authorization(eaScheme + " " + strings.Repeat("AAAA", 2731)),
		"request of the wrong message type": {eaRequestField: {encode(first.raw)}},
	} {
		peer.expect(t, name, header, 400)
	}
	peer.expect(t, "another scheme", authorization("Bearer x"), 401)
	declined, _ := keys.decline(first)
	peer.expect(t, "empty", authorization(eaScheme+" "+encode(declined)), 403)
	after := peer.challenge(t, peer.expect(t, "proof for the declined request", authorization(proof), 401))
	if string(after.raw) == string(first.raw) {
		t.Error("an answered request was repeated")
	}
	peer.expect(t, "empty for another request", authorization(eaScheme+" "+encode(declined)), 401)
	open := peer.challenge(t, peer.expect(t, "no proof", nil, 401))
	unknown := peer.challenge(t, peer.expect(t, "unknown context", authorization(proof), 401))
	if string(unknown.raw) != string(open.raw) {
		t.Error("an unknown context used up an open request")
	}
	changed := answer(open)
	changed[len(changed)-1] ^= 1
	renewed := peer.challenge(t, peer.expect(t, "invalid Finished", authorization(eaScheme+" "+encode(changed)), 401))
	if string(renewed.raw) == string(open.raw) {
		t.Error("no new request after an invalid authenticator")
	}
	peer.expect(t, "valid", authorization(strings.ToLower(eaScheme)+prove(renewed)[len(eaScheme):]), 200)
	for name, header := range map[string]http.Header{
		"no credentials after success": nil, "invalid base64 after success": authorization(eaScheme + " *"),
		"repeated field after success": authorization(proof, proof), "used proof after success": authorization(proof),
	} {
		peer.expect(t, name, header, 200)
	}
}

func TestSecondIdentity(t *testing.T) {
	peer, _, issuer := dialHandler(t, true)
	state := peer.connection.ConnectionState()
	keys, err := exportedKeys(&state, "server")
	if err != nil {
		t.Fatal(err)
	}
	for name, has := range map[string]bool{"second.example": true, "": true, "absent.example": false} {
		request, err := makeRequest(typeClientCertificateRequest, name)
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{eaRequestField: {encode(request.raw)}}
		response := peer.expect(t, name, header, 401)
		received, err := decodeAuthenticator(keys, response.Header.Get(eaAnswerField))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.validate(request, received, issuer.pool); (err == nil) != has || received.empty() == has {
			t.Error(name, err)
		}
		if peer.expect(t, "context used before", header, 400).Header.Get(eaAnswerField) != "" {
			t.Error("a repeated request was answered")
		}
	}
}

func TestTooManyRequests(t *testing.T) {
	peer, _, _ := dialHandler(t, false)
	for range maxRequests - 1 {
		request, _ := makeRequest(typeClientCertificateRequest, "")
		peer.expect(t, "within the limit", http.Header{eaRequestField: {encode(request.raw)}}, 401)
	}
	request, _ := makeRequest(typeClientCertificateRequest, "")
	// The server repeats its own request, which can still be answered.
	peer.expect(t, "repeated challenge", nil, 401)
	response := peer.expect(t, "beyond the limit", http.Header{eaRequestField: {encode(request.raw)}}, 421)
	if !response.Close || response.Header.Get("WWW-Authenticate") != "" {
		t.Error("the response has a challenge, or does not close the connection")
	}
}

func TestTooManyChallenges(t *testing.T) {
	peer, _, _ := dialHandler(t, false)
	state := peer.connection.ConnectionState()
	keys, err := exportedKeys(&state, "client")
	if err != nil {
		t.Fatal(err)
	}
	for range maxRequests {
		declined, err := keys.decline(peer.challenge(t, peer.expect(t, "no proof", nil, 401)))
		if err != nil {
			t.Fatal(err)
		}
		peer.expect(t, "declined", authorization(eaScheme+" "+encode(declined)), 403)
	}
	response := peer.expect(t, "no more challenges", nil, 421)
	if !response.Close || response.Header.Get("WWW-Authenticate") != "" {
		t.Error("the response has a challenge, or does not close the connection")
	}
}
