package main

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// eaPeer is the client's side of one connection.
type eaPeer struct {
	connection *tls.Conn
	in         *bufio.Reader
	target     string
}

// eaClient opens one connection, answers the server's challenge on it, and prints the status and the body. It can request a
// second identity of the server in the same HTTP request.
func eaClient(arguments []string) error {
	flags := flag.NewFlagSet("ea-client", flag.ExitOnError)
	target := flags.String("url", "", "https://...")
	ca := flags.String("ca", "", "CA of the server, PEM")
	certificate := flags.String("cert", "", "certificate, PEM")
	key := flags.String("key", "", "key, PEM; with -tpm TSS2 PEM")
	tpm := flags.String("tpm", "", "host:port of a swtpm that has the key")
	secondCA := flags.String("second-ca", "", "CA of a second identity to request of the server, PEM")
	secondName := flags.String("second-name", "", "DNS name of the second identity")
	decline := flags.Bool("decline", false, "answer with an empty authenticator")
	flags.Parse(arguments)
	at, err := url.Parse(*target)
	if err != nil {
		return err
	}
	roots, err := loadPool(*ca)
	if err != nil {
		return err
	}
	connection, err := tls.Dial("tcp", at.Host, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13})
	if err != nil {
		return err
	}
	defer connection.Close()
	peer := eaPeer{connection: connection, in: bufio.NewReader(connection), target: *target}
	response, _, err := peer.get(nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("no challenge: %s", response.Status)
	}
	identity := func() (tls.Certificate, func(), error) { return loadIdentity(*certificate, *key, *tpm) }
	if *decline {
		identity = nil
	}
	answer, err := peer.answer(response, identity)
	if err != nil {
		return err
	}
	header := http.Header{"Authorization": {eaScheme + " " + encode(answer)}}
	var second *eaRequest
	if *secondCA != "" {
		if second, err = makeRequest(typeClientCertificateRequest, *secondName); err != nil {
			return err
		}
		header.Set(eaRequestField, encode(second.raw))
	}
	response, body, err := peer.get(header)
	if err != nil {
		return err
	}
	fmt.Printf("%d %s\n", response.StatusCode, strings.TrimSpace(body))
	if second == nil {
		return nil
	}
	name, err := peer.secondIdentity(response, second, *secondCA)
	if err == nil {
		fmt.Println("second", name)
	}
	return err
}

func (p eaPeer) get(header http.Header) (*http.Response, string, error) {
	request, err := http.NewRequest("GET", p.target, nil)
	if err != nil {
		return nil, "", err
	}
	if header != nil {
		request.Header = header
	}
	if err := request.Write(p.connection); err != nil {
		return nil, "", err
	}
	response, err := http.ReadResponse(p.in, request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

// loadIdentity loads a certificate and its key, and returns a function that releases the key.
func loadIdentity(certificate, key, tpm string) (tls.Certificate, func(), error) {
	if tpm == "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		return pair, func() {}, err
	}
	text, err := os.ReadFile(certificate)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	var out tls.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		out.Certificate = append(out.Certificate, block.Bytes)
	}
	signer, err := openTPMSigner(tpm, key)
	if err != nil {
		return out, nil, err
	}
	out.PrivateKey = signer
	return out, signer.done, nil
}

// answer creates the authenticator for the challenge in a response. Without an identity, it is empty.
func (p eaPeer) answer(response *http.Response, identity func() (tls.Certificate, func(), error)) ([]byte, error) {
	text, err := challengedRequest(response.Header.Values("WWW-Authenticate"))
	if err != nil {
		return nil, err
	}
	raw, err := decode(text, maxRequestBytes)
	if err != nil {
		return nil, err
	}
	request, err := parseRequest(raw, typeCertificateRequest)
	if err != nil {
		return nil, err
	}
	state := p.connection.ConnectionState()
	keys, err := exportedKeys(&state, "client")
	if err != nil {
		return nil, err
	}
	if identity == nil {
		return keys.decline(request)
	}
	pair, done, err := identity()
	if err != nil {
		return nil, err
	}
	defer done()
	return keys.authenticate(request, pair)
}

// secondIdentity returns the DNS name that the server proved, or "none" if the server has no suitable identity.
func (p eaPeer) secondIdentity(response *http.Response, request *eaRequest, ca string) (string, error) {
	roots, err := loadPool(ca)
	if err != nil {
		return "", err
	}
	fields := response.Header.Values(eaAnswerField)
	if len(fields) != 1 {
		return "", fmt.Errorf("expected one field %s, got %d", eaAnswerField, len(fields))
	}
	state := p.connection.ConnectionState()
	keys, err := exportedKeys(&state, "server")
	if err != nil {
		return "", err
	}
	received, err := decodeAuthenticator(keys, fields[0])
	if err != nil {
		return "", err
	}
	leaf, err := keys.validate(request, received, roots)
	if errors.Is(err, errEmpty) {
		return "none", nil
	}
	if err != nil {
		return "", err
	}
	if request.serverName != "" {
		return request.serverName, leaf.VerifyHostname(request.serverName)
	}
	if len(leaf.DNSNames) == 0 {
		return "", errors.New("no DNS name in the second identity")
	}
	return leaf.DNSNames[0], nil
}
