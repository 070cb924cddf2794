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

// eaConnection is what a server remembers of one TLS connection. HTTP/1.1 has one request at a time on it.
type eaConnection struct {
	open     []*eaRequest // not answered yet, the last one is in challenges
	contexts map[string]bool
	requests int
	identity *x509.Certificate
}

type eaHandler struct {
	roots  *x509.CertPool
	second *tls.Certificate
}

// eaServer answers GET /get to clients that prove an identity with an exported authenticator, and proves a second one if
// it is asked to.
func eaServer(arguments []string) error {
	flags := flag.NewFlagSet("ea-server", flag.ExitOnError)
	certificate := flags.String("cert", "", "PEM")
	key := flags.String("key", "", "PEM")
	ca := flags.String("ca", "", "PEM, of the clients")
	secondCertificate := flags.String("second-cert", "", "PEM")
	secondKey := flags.String("second-key", "", "PEM")
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
		// The test closes standard input when it is done.
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
		refuse(w, connection, err)
		return
	}
	if r.URL.Path != "/get" || r.Method != "GET" {
		http.NotFound(w, r)
		return
	}
	if err := h.admit(r, connection); err != nil {
		refuse(w, connection, err)
		return
	}
	io.WriteString(w, "ok "+connection.identity.Subject.CommonName)
}

var errTooMany = errors.New("too many requests on this connection")

func refuse(w http.ResponseWriter, connection *eaConnection, err error) {
	fmt.Fprintln(os.Stderr, "refused:", err)
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

// challenge repeats the request that is open, or makes one.
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

// use counts a request of either side, and its context.
func (c *eaConnection) use(request *eaRequest) error {
	if c.contexts[string(request.context)] {
		return malformed("context used before")
	}
	if c.requests == mostRequests {
		return errTooMany
	}
	c.requests++
	c.contexts[string(request.context)] = true
	return nil
}

// admit is nil if an identity is proved on this connection, now or before: credentials are not looked at then.
func (h eaHandler) admit(r *http.Request, connection *eaConnection) error {
	if connection.identity != nil {
		return nil
	}
	fields := r.Header.Values("Authorization")
	if len(fields) > 1 {
		return malformed("Authorization twice")
	}
	if len(fields) == 0 {
		return errors.New("no authenticator")
	}
	text, ours := credentials(fields[0])
	if !ours {
		return errors.New("credentials of another scheme")
	}
	keys, err := exportedKeys(r.TLS, "client")
	if err != nil {
		return err
	}
	given, err := decodeAuthenticator(keys, text)
	if err != nil {
		return err
	}
	requests := connection.answered(given)
	if len(requests) == 0 {
		return errors.New("context of no open request")
	}
	for _, one := range requests {
		if connection.identity, err = keys.validate(one, given, h.roots); err == nil || errors.Is(err, errEmpty) {
			connection.open = slices.DeleteFunc(connection.open, func(other *eaRequest) bool { return other == one })
			break
		}
	}
	return err
}

// answered gives the open requests that an authenticator may be for. One with a certificate names the context, and uses that request
// up, valid or not; an empty one may be for any, and uses up the one that it fits.
func (c *eaConnection) answered(given *authenticator) (taken []*eaRequest) {
	if given.empty() {
		return slices.Clone(c.open)
	}
	at := slices.IndexFunc(c.open, func(one *eaRequest) bool { return bytes.Equal(one.context, given.context) })
	if at >= 0 {
		taken = []*eaRequest{c.open[at]}
		c.open = slices.Delete(c.open, at, at+1)
	}
	return taken
}

// proveSecond answers the client's request, if there is one, with the second identity or the empty authenticator.
func (h eaHandler) proveSecond(w http.ResponseWriter, r *http.Request, connection *eaConnection) error {
	fields := r.Header.Values(eaRequestField)
	if len(fields) == 0 {
		return nil
	}
	if len(fields) > 1 {
		return malformed(eaRequestField + " twice")
	}
	raw, err := decode(fields[0], mostRequestBytes)
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
