package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
)

type eaConnectionKey struct{}

// eaConnection is the server's state of one TLS connection. It needs no lock, because HTTP/1.1 has one request at a time.
type eaConnection struct {
	open     []*eaRequest // unanswered requests; challenges contain the last one
	contexts map[string]bool
	requests int
	identity *x509.Certificate
}

type eaHandler struct {
	roots  *x509.CertPool
	second *tls.Certificate
}

// eaServer accepts GET /get from clients that prove an identity with an exported authenticator, and proves a second identity on
// request.
func eaServer(arguments []string) error {
	flags := flag.NewFlagSet("ea-server", flag.ExitOnError)
	certificate := flags.String("cert", "", "certificate, PEM")
	key := flags.String("key", "", "key, PEM")
	ca := flags.String("ca", "", "CA of the clients, PEM")
	secondCertificate := flags.String("second-cert", "", "certificate of the second identity, PEM")
	secondKey := flags.String("second-key", "", "key of the second identity, PEM")
	flags.Parse(arguments)
	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		return err
	}
	handler := eaHandler{}
	if handler.roots, err = loadPool(*ca); err != nil {
		return err
	}
	if *secondCertificate != "" {
		second, err := tls.LoadX509KeyPair(*secondCertificate, *secondKey)
		if err != nil {
			return err
		}
		handler.second = &second
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := handler.server()
	go func() {
		// The test closes standard input at its end.
		io.Copy(io.Discard, os.Stdin)
		server.Shutdown(context.Background())
	}()
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	if err := server.Serve(tls.NewListener(listener, config)); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func (h eaHandler) server() *http.Server {
	return &http.Server{
		Handler: h,
		ConnContext: func(parent context.Context, _ net.Conn) context.Context {
			return context.WithValue(parent, eaConnectionKey{}, &eaConnection{contexts: map[string]bool{}})
		},
	}
}

func (h eaHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	connection := r.Context().Value(eaConnectionKey{}).(*eaConnection)
	if err := h.proveSecond(w, r, connection); err != nil {
		reject(w, connection, err)
		return
	}
	if r.URL.Path != "/get" || r.Method != "GET" {
		http.NotFound(w, r)
		return
	}
	if err := h.admit(r, connection); err != nil {
		reject(w, connection, err)
		return
	}
	io.WriteString(w, "ok "+connection.identity.Subject.CommonName)
}

var errTooMany = errors.New("too many requests on this connection")

func reject(w http.ResponseWriter, connection *eaConnection, err error) {
	fmt.Fprintln(os.Stderr, "rejected:", err)
	if !errors.Is(err, errMalformed) && !errors.Is(err, errEmpty) && !errors.Is(err, errTooMany) {
		var request *eaRequest
		if request, err = connection.challenge(); err == nil {
			w.Header().Set("WWW-Authenticate", eaScheme+` realm="interop", request="`+encode(request.raw)+`"`)
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
	}
	switch {
	case errors.Is(err, errMalformed):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case errors.Is(err, errEmpty):
		http.Error(w, "forbidden", http.StatusForbidden)
	case errors.Is(err, errTooMany):
		w.Header().Set("Connection", "close")
		http.Error(w, err.Error(), http.StatusMisdirectedRequest)
	default:
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

// challenge returns the last unanswered request, or creates one.
func (c *eaConnection) challenge() (*eaRequest, error) {
	if len(c.open) > 0 {
		return c.open[len(c.open)-1], nil
	}
	request, err := makeRequest(typeCertificateRequest, "")
	if err == nil {
		err = c.use(request)
	}
	if err != nil {
		return nil, err
	}
	c.open = append(c.open, request)
	return request, nil
}

// use counts a request of either side, and records its context.
func (c *eaConnection) use(request *eaRequest) error {
	if c.contexts[string(request.context)] {
		return malformed("context used before")
	}
	if c.requests == maxRequests {
		return errTooMany
	}
	c.requests++
	c.contexts[string(request.context)] = true
	return nil
}

// admit returns nil if the client proves an identity. Once it has done so on this connection, further credentials are ignored.
func (h eaHandler) admit(r *http.Request, connection *eaConnection) error {
	if connection.identity != nil {
		return nil
	}
	fields := r.Header.Values("Authorization")
	if len(fields) > 1 {
		return malformed("repeated Authorization field")
	}
	if len(fields) == 0 {
		return errors.New("no Authorization field")
	}
	text, ours := credentials(fields[0])
	if !ours {
		return errors.New("credentials of another scheme")
	}
	keys, err := exportedKeys(r.TLS, "client")
	if err != nil {
		return err
	}
	received, err := decodeAuthenticator(keys, text)
	if err != nil {
		return err
	}
	requests := connection.candidates(received)
	if len(requests) == 0 {
		return errors.New("the authenticator does not answer an open request")
	}
	for _, one := range requests {
		if connection.identity, err = keys.validate(one, received, h.roots); err == nil || errors.Is(err, errEmpty) {
			connection.open = slices.DeleteFunc(connection.open, func(other *eaRequest) bool { return other == one })
			break
		}
	}
	return err
}

// candidates returns the open requests that an authenticator may answer. An authenticator with a certificate names the context, and
// uses up that request even if it is invalid. An empty one may answer any request; admit removes the one that it is valid for.
func (c *eaConnection) candidates(received *authenticator) (taken []*eaRequest) {
	if received.empty() {
		return slices.Clone(c.open)
	}
	at := slices.IndexFunc(c.open, func(one *eaRequest) bool { return bytes.Equal(one.context, received.context) })
	if at >= 0 {
		taken = []*eaRequest{c.open[at]}
		c.open = slices.Delete(c.open, at, at+1)
	}
	return taken
}

// proveSecond answers the client's request, if there is one, with the second identity or an empty authenticator.
func (h eaHandler) proveSecond(w http.ResponseWriter, r *http.Request, connection *eaConnection) error {
	fields := r.Header.Values(eaRequestField)
	if len(fields) == 0 {
		return nil
	}
	if len(fields) > 1 {
		return malformed("repeated field " + eaRequestField)
	}
	raw, err := decode(fields[0], maxRequestBytes)
	if err != nil {
		return err
	}
	request, err := parseRequest(raw, typeClientCertificateRequest)
	if err != nil {
		return err
	}
	if err := connection.use(request); err != nil {
		return err
	}
	keys, err := exportedKeys(r.TLS, "server")
	if err != nil {
		return err
	}
	var answer []byte
	if h.hasIdentity(request) {
		answer, err = keys.authenticate(request, *h.second)
	} else {
		answer, err = keys.decline(request)
	}
	if err != nil {
		return err
	}
	w.Header().Set(eaAnswerField, encode(answer))
	return nil
}

func (h eaHandler) hasIdentity(request *eaRequest) bool {
	if h.second == nil || !slices.Contains(request.schemes, schemeOf(h.second.Leaf.PublicKey)) || !request.from(h.second.Certificate) {
		return false
	}
	return request.serverName == "" || h.second.Leaf.VerifyHostname(request.serverName) == nil
}
