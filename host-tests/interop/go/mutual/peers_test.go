package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// peers holds a server of a test and what is needed to make clients for it.
type peers struct {
	t      *testing.T
	server *mutualServer
	url    string
	pool   *x509.CertPool
	tls12  bool
	log    *safeBuffer
}

// safeBuffer is a buffer that several goroutines may use.
type safeBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}

const (
	testUser     = "Renée"
	testPassword = "pass phrase ü"
)

// startPeers starts a server on 127.0.0.1.
func startPeers(t *testing.T, token string, validations []string, secure, tls12 bool, misbehave string) *peers {
	t.Helper()
	a, err := algorithmFor(token)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	p := &peers{t: t, tls12: tls12, log: &safeBuffer{}, url: "http://" + listener.Addr().String()}
	h := &httpServer{log: p.log}
	if secure {
		p.url = "https://" + listener.Addr().String()
		pair := newCertificate(t)
		h.leaf = pair.Leaf
		p.pool = x509.NewCertPool()
		p.pool.AddCert(pair.Leaf)
		listener = tls.NewListener(listener, serverTLS(pair, tls12))
	}
	target, _ := url.Parse(p.url)
	o, err := originOf(target)
	if err != nil {
		t.Fatal(err)
	}
	realm := realmKey{algorithm: a.token, scope: o.serialization(), realm: `a "realm"`}
	credential, err := register(a, realm, testUser, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	p.server = &mutualServer{
		algorithm: a, realm: realm, validations: validations, origin: o, user: testUser, credential: credential, misbehave: misbehave,
		ncMax: big.NewInt(5000), ncWindow: big.NewInt(128), lifetime: big.NewInt(300), sessions: map[string]*serverSession{},
	}
	h.mutual = p.server
	go h.serve(listener)
	return p
}

// newCertificate returns a self-signed certificate for 127.0.0.1.
func newCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// client returns a client for a path with the test user and password.
func (p *peers) client(path, misbehave string, validations ...string) *mutualClient {
	p.t.Helper()
	transport, err := newHTTPClient(p.url+path, "", "", p.tls12)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(transport.close)
	transport.config.RootCAs = p.pool
	c := newMutualClient(transport, testUser, testPassword, nil, validations)
	c.misbehave = misbehave
	return c
}

// expect sends requests and compares "outcome/exchanges/reason" of each.
func (p *peers) expect(c *mutualClient, want ...string) []result {
	p.t.Helper()
	var all []result
	for i, w := range want {
		c.remaining = len(want) - 1 - i
		out, err := c.request()
		if err != nil {
			p.t.Fatal(err)
		}
		var line bytes.Buffer
		out.print(&line)
		if !strings.HasPrefix(line.String(), w) {
			p.t.Errorf("request %d: %q instead of %q; server: %s", i+1, line.String(), w, p.log)
		}
		all = append(all, out)
	}
	return all
}
