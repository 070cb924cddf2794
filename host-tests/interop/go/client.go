package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
)

// client opens one connection, sends a request with a one-time password on it, and prints the status and the body.
func client(arguments []string) error {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	target := flags.String("url", "", "https://...")
	ca := flags.String("ca", "", "PEM")
	form := flags.String("form", "api-key", "api-key, jws or nested")
	clientID := flags.String("client", "client1", "id")
	secret := flags.String("secret", "", "the HMAC key, unless it is in a TPM")
	tpm := flags.String("tpm", "", "host:port of a swtpm")
	keyFile := flags.String("key", "", "TSS2 PEM, for -tpm")
	flags.Parse(arguments)

	key := softwarePRF([]byte(*secret))
	if *tpm != "" {
		loaded, closeTPM, err := openTPMKey(*tpm, *keyFile)
		if err != nil {
			return err
		}
		defer closeTPM()
		key = loaded
	}
	at, err := url.Parse(*target)
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(*ca)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	connection, err := tls.Dial("tcp", at.Host, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13})
	if err != nil {
		return err
	}
	defer connection.Close()
	request, err := http.NewRequest("GET", *target, nil)
	if err != nil {
		return err
	}
	if err := prove(request, *form, *clientID, connection.ConnectionState(), key); err != nil {
		return err
	}
	if err := request.Write(connection); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	fmt.Printf("%d %s\n", response.StatusCode, body)
	return nil
}

func prove(request *http.Request, form, clientID string, state tls.ConnectionState, key prf) error {
	request.Header["client"] = []string{clientID}
	if form == "api-key" {
		derived, err := apiKey(state, clientID, key)
		if err != nil {
			return err
		}
		request.Header["apikey"] = []string{base64.StdEncoding.EncodeToString(derived)}
		return nil
	}
	signingKey, err := tokenKey(state, "sig_key", key)
	if err != nil {
		return err
	}
	text, err := signed(signingKey)
	if form == "nested" && err == nil {
		var encryptionKey []byte
		if encryptionKey, err = tokenKey(state, "enc_key", key); err == nil {
			text, err = nested(signingKey, encryptionKey)
		}
	}
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+text)
	return nil
}
