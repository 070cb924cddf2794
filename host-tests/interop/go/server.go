package main

import (
	"context"
	"crypto/hmac"
	"crypto/tls"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

// server behaves like the server of the Go demo: it accepts GET /get with the headers client and apikey, or with a bearer token.
func server(arguments []string) error {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	certificate := flags.String("cert", "", "PEM")
	key := flags.String("key", "", "PEM")
	secret := flags.String("secret", "", "HMAC key of the clients")
	flags.Parse(arguments)
	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		return err
	}
	prf := softwarePRF([]byte(*secret))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /get", func(w http.ResponseWriter, r *http.Request) {
		if err := admit(r, prf); err != nil {
			fmt.Fprintln(os.Stderr, "rejected:", err)
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		io.WriteString(w, "ok")
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := http.Server{Handler: mux}
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

func admit(r *http.Request, key prf) error {
	if bearer, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		signingKey, err := tokenKey(*r.TLS, "sig_key", key)
		if err != nil {
			return err
		}
		encryptionKey, err := tokenKey(*r.TLS, "enc_key", key)
		if err != nil {
			return err
		}
		_, err = verify(bearer, signingKey, encryptionKey)
		return err
	}
	presented, err := base64.StdEncoding.DecodeString(r.Header.Get("apikey"))
	if err != nil {
		return err
	}
	expected, err := apiKey(*r.TLS, r.Header.Get("client"), key)
	if err != nil {
		return err
	}
	if !hmac.Equal(presented, expected) {
		return fmt.Errorf("wrong one-time password of client %q", r.Header.Get("client"))
	}
	return nil
}
