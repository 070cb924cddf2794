package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"os"
	"strings"
)

// exitCodes are the exit codes of the client for the outcomes of its last request.
var exitCodes = map[string]int{authSucceed: 0, authRequired: 3, unauthenticated: 4, fatal: 5}

// clientCommand sends the requests and returns the exit code.
func clientCommand(arguments []string, output io.Writer) (int, error) {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	target := flags.String("url", "", "URL")
	ca := flags.String("ca", "", "PEM file with the trusted certificates")
	resolve := flags.String("resolve", "", "IP:PORT to connect to, whatever the host of the URL is")
	tls12 := flags.Bool("tls12", false, "offer nothing above TLS 1.2")
	user := flags.String("user", "", "user name")
	password := flags.String("password", "", "password")
	algorithmList := flags.String("algorithms", "", "algorithms in order of preference, separated by commas")
	validations := flags.String("validations", "", "validation methods in order of preference, separated by commas")
	realm := flags.String("known-realm", "", "realm that the client knows already")
	scope := flags.String("known-scope", "", "authentication scope of the known realm")
	requests := flags.Int("requests", 1, "number of requests")
	reconnect := flags.Bool("reconnect", false, "open a connection for each of the requests")
	method := flags.String("method", "GET", "method")
	body := flags.String("body", "", "body")
	expect := flags.Bool("expect", false, "send Expect: 100-continue with the body")
	misbehave := flags.String("misbehave", "", strings.Join(clientMisbehaviours[1:], ", "))
	flags.Parse(arguments)

	if err := checkMisbehaviour(*misbehave, *requests); err != nil {
		return 2, err
	}
	transport, err := newHTTPClient(*target, *ca, *resolve, *tls12)
	if err != nil {
		return 2, err
	}
	defer transport.close()
	transport.method, transport.body, transport.expect = *method, *body, *expect
	c := newMutualClient(transport, *user, *password, splitList(*algorithmList), splitList(*validations))
	c.misbehave = *misbehave
	if (*realm == "") != (*scope == "") {
		return 2, errors.New("-known-realm and -known-scope belong together")
	}
	if *realm != "" {
		if err := c.know(*realm, *scope); err != nil {
			return 2, err
		}
	}
	if err := checkString(*user + *password); err != nil {
		return 2, err
	}
	code := 2
	for i := 0; i < *requests; i++ {
		if *reconnect {
			transport.close()
		}
		c.remaining = *requests - 1 - i
		out, err := c.request()
		if err != nil {
			return 2, err
		}
		out.print(output)
		if code = exitCodes[out.outcome]; out.outcome == fatal {
			break
		}
	}
	return code, nil
}

// print writes the line about a request, and the body if it may be shown.
func (out result) print(output io.Writer) {
	if out.outcome == fatal {
		fmt.Fprintf(output, "result=%s detail=%s\n", out.outcome, strings.Join(strings.Fields(out.detail), " "))
		return
	}
	fmt.Fprintf(output, "status=%d result=%s exchanges=%d reason=%s\n", out.status, out.outcome, out.exchanges, out.reason)
	if out.outcome != authRequired {
		io.WriteString(output, out.body)
	}
}

// newHTTPClient returns a client for a URL.
func newHTTPClient(target, ca, resolve string, tls12 bool) (*httpClient, error) {
	parsed, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	o, err := originOf(parsed)
	if err != nil {
		return nil, err
	}
	c := &httpClient{target: parsed, origin: o, address: resolve, method: "GET"}
	if resolve == "" {
		c.address = o.host + ":" + o.port
	}
	c.config = &tls.Config{ServerName: strings.Trim(o.host, "[]"), MinVersion: tls.VersionTLS12}
	if tls12 {
		c.config.MaxVersion = tls.VersionTLS12
	}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		c.config.RootCAs = x509.NewCertPool()
		if !c.config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("the file of -ca contains no certificate")
		}
	}
	return c, nil
}

// newMutualClient returns a client with default preferences where the lists are empty.
// The method host is no default over TLS, as RFC 8120 section 7 demands one of the others there.
func newMutualClient(transport *httpClient, user, password string, algorithmList, validations []string) *mutualClient {
	if len(algorithmList) == 0 {
		for _, a := range algorithms {
			algorithmList = append(algorithmList, a.token)
		}
	}
	if len(validations) == 0 {
		validations = []string{validateHost}
		if transport.origin.scheme == "https" {
			validations = []string{validateExporter, validateEndPoint, validateUnique}
		}
	}
	return &mutualClient{
		http: transport, user: user, password: password,
		algorithms: algorithmList, validations: validations, pi: map[realmKey]*big.Int{},
	}
}

// know sets the realm in advance, with the preferred algorithm and the preferred validation method that the connection allows.
func (c *mutualClient) know(realm, scope string) error {
	if !c.http.origin.coveredBy(scope) {
		return errors.New("the known authentication scope does not cover the host")
	}
	l, err := c.http.connect()
	if err != nil {
		return err
	}
	for _, validation := range c.validations {
		if _, err := validationValue(validation, l); err == nil {
			key := realmKey{algorithm: c.algorithms[0], scope: scope, realm: realm}
			c.adopt(offer{realm: key, validation: validation, scopeSent: true})
			return nil
		}
	}
	return errors.New("no validation method is available")
}

// splitList splits a list of tokens and turns them into lower case.
func splitList(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(strings.ToLower(list), ",")
}
