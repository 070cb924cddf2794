package main

import (
	"crypto/tls"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"strings"
)

// serverCommand runs a server until its listener fails.
func serverCommand(arguments []string, output io.Writer) error {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address and port")
	certificate := flags.String("cert", "", "PEM file; without it the server speaks plain HTTP")
	key := flags.String("key", "", "PEM file")
	tls12 := flags.Bool("tls12", false, "offer nothing above TLS 1.2")
	token := flags.String("algorithm", algorithms[0].token, "algorithm")
	realm := flags.String("realm", "", "realm")
	scope := flags.String("auth-scope", "", "authentication scope")
	validations := flags.String("validation", "", "validation methods, separated by commas")
	originURL := flags.String("origin", "", "https://host:port, for the validation method host")
	user := flags.String("user", "", "user name")
	password := flags.String("password", "", "password")
	store := flags.String("store", "", "file with the hex of J(pi), instead of the password")
	ncMax := flags.String("nc-max", "1000000", "largest nonce number")
	ncWindow := flags.String("nc-window", "128", "window of nonce numbers")
	lifetime := flags.String("time", "300", "seconds that a session lives")
	misbehave := flags.String("misbehave", "", strings.Join(serverMisbehaviours[1:], ", "))
	flags.Parse(arguments)

	a, err := algorithmFor(strings.ToLower(*token))
	if err != nil {
		return err
	}
	s := &mutualServer{
		algorithm: a, user: *user, misbehave: *misbehave,
		realm:    realmKey{algorithm: a.token, scope: *scope, realm: *realm},
		sessions: map[string]*serverSession{},
	}
	if *scope == "" || !isServerMisbehaviour(*misbehave) {
		return errors.New("-auth-scope is missing, or -misbehave is unknown")
	}
	for _, method := range strings.Split(*validations, ",") {
		if _, err := parseExtensiveToken(method); err != nil {
			return err
		}
		s.validations = append(s.validations, strings.ToLower(method))
		if strings.EqualFold(method, validateHost) && *originURL == "" {
			return errors.New("the validation method host needs -origin")
		}
	}
	if *originURL != "" {
		target, err := url.Parse(*originURL)
		if err != nil {
			return err
		}
		if s.origin, err = originOf(target); err != nil {
			return err
		}
	}
	for _, number := range []struct {
		text   string
		target **big.Int
	}{{*ncMax, &s.ncMax}, {*ncWindow, &s.ncWindow}, {*lifetime, &s.lifetime}} {
		if *number.target, err = parseInteger(number.text); err != nil {
			return err
		}
	}
	if s.credential, err = loadCredential(a, s.realm, *user, *password, *store); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	h := &httpServer{mutual: s, log: output}
	if *certificate != "" {
		pair, err := tls.LoadX509KeyPair(*certificate, *key)
		if err != nil {
			return err
		}
		h.leaf = pair.Leaf
		listener = tls.NewListener(listener, serverTLS(pair, *tls12))
	}
	fmt.Fprintf(output, "listening on %s\n", listener.Addr())
	return h.serve(listener)
}

// serverTLS returns the TLS parameters of a server.
func serverTLS(pair tls.Certificate, tls12 bool) *tls.Config {
	config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	if tls12 {
		config.MaxVersion = tls.VersionTLS12
	}
	return config
}

// loadCredential derives J(pi) from a password, or reads it from a file.
func loadCredential(a *algorithm, realm realmKey, user, password, store string) (*big.Int, error) {
	if store == "" {
		return register(a, realm, user, password)
	}
	text, err := os.ReadFile(store)
	if err != nil {
		return nil, err
	}
	stored, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, err
	}
	if len(stored) != a.group.octetLength() {
		return nil, fmt.Errorf("the stored J(pi) has %d octets instead of %d", len(stored), a.group.octetLength())
	}
	_, err = a.group.parse(integer(stored))
	return integer(stored), err
}

// register derives J(pi) from a password.
func register(a *algorithm, realm realmKey, user, password string) (*big.Int, error) {
	pi, err := a.derivePi(realm.scope, realm.realm, user, password)
	if err != nil {
		return nil, err
	}
	return a.credential(integer(pi))
}
