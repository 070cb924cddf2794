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

func (p eaPeer) expect(t *testing.T, what string, header http.Header, status int) *http.Response {
	t.Helper()
	response, body, err := p.get(header)
	if err != nil {
		t.Fatal(what, err)
	}
	if response.StatusCode != status {
		t.Fatal(what, response.Status, body)
	}
	return response
}

func (p eaPeer) challenge(t *testing.T, response *http.Response) *eaRequest {
	t.Helper()
	text, err := challengedRequest(response.Header.Values("WWW-Authenticate"))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := decode(text, mostRequestBytes)
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
	for what, header := range map[string]http.Header{
		"base64":        authorization(eaScheme + " *"),
		"padding":       authorization(eaScheme + " AAAA===="),
		"nothing":       authorization(eaScheme),
		"a length":      authorization(proof[:len(proof)-8]),
		"a longer one":  authorization(proof + "AAAA"),
		"header twice":  authorization(proof, proof),
		"over the most": authorization(eaScheme + " " + strings.Repeat("AAAA", 2731)),
		"no request":    {eaRequestField: {encode(first.raw)}},
	} {
		peer.expect(t, what, header, 400)
	}
	peer.expect(t, "another scheme", authorization("Bearer x"), 401)
	declined, _ := keys.decline(first)
	peer.expect(t, "empty", authorization(eaScheme+" "+encode(declined)), 403)
	after := peer.challenge(t, peer.expect(t, "a proof for the request that was declined", authorization(proof), 401))
	if string(after.raw) == string(first.raw) {
		t.Error("an answered request came back")
	}
	peer.expect(t, "empty for another request", authorization(eaScheme+" "+encode(declined)), 401)
	wrong := peer.challenge(t, peer.expect(t, "no proof", nil, 401))
	unknown := peer.challenge(t, peer.expect(t, "of a context that is not open", authorization(proof), 401))
	if string(unknown.raw) != string(wrong.raw) {
		t.Error("an unknown context used up an open request")
	}
	changed := answer(wrong)
	changed[len(changed)-1] ^= 1
	renewed := peer.challenge(t, peer.expect(t, "wrong", authorization(eaScheme+" "+encode(changed)), 401))
	if string(renewed.raw) == string(wrong.raw) {
		t.Error("no new request after a wrong authenticator")
	}
	peer.expect(t, "right", authorization(strings.ToLower(eaScheme)+prove(renewed)[len(eaScheme):]), 200)
	for what, header := range map[string]http.Header{
		"later": nil, "no base64": authorization(eaScheme + " *"), "header twice": authorization(proof, proof), "used": authorization(proof),
	} {
		peer.expect(t, what, header, 200)
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
		given, err := decodeAuthenticator(keys, response.Header.Get(eaAnswerField))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.validate(request, given, issuer.pool); (err == nil) != has || given.empty() == has {
			t.Error(name, err)
		}
		if peer.expect(t, "context used before", header, 400).Header.Get(eaAnswerField) != "" {
			t.Error("answered twice")
		}
	}
}

func TestTooManyRequests(t *testing.T) {
	peer, _, _ := dialHandler(t, false)
	for range mostRequests - 1 {
		request, _ := makeRequest(typeClientCertificateRequest, "")
		peer.expect(t, "within the limit", http.Header{eaRequestField: {encode(request.raw)}}, 401)
	}
	request, _ := makeRequest(typeClientCertificateRequest, "")
	// The request that the server has made is repeated, and can be answered.
	peer.expect(t, "the challenge again", nil, 401)
	response := peer.expect(t, "beyond it", http.Header{eaRequestField: {encode(request.raw)}}, 421)
	if !response.Close || response.Header.Get("WWW-Authenticate") != "" {
		t.Error("a challenge, or no end of the connection")
	}
}

func TestTooManyChallenges(t *testing.T) {
	peer, _, _ := dialHandler(t, false)
	state := peer.connection.ConnectionState()
	keys, err := exportedKeys(&state, "client")
	if err != nil {
		t.Fatal(err)
	}
	for range mostRequests {
		declined, err := keys.decline(peer.challenge(t, peer.expect(t, "no proof", nil, 401)))
		if err != nil {
			t.Fatal(err)
		}
		peer.expect(t, "declined", authorization(eaScheme+" "+encode(declined)), 403)
	}
	response := peer.expect(t, "no more challenges", nil, 421)
	if !response.Close || response.Header.Get("WWW-Authenticate") != "" {
		t.Error("a challenge, or no end of the connection")
	}
}
