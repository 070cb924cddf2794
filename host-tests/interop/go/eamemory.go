package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"time"
)

// authority is a CA with a P-256 key for ea-vector.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	pool        *x509.CertPool
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificateTemplate(1, "interop CA")
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	out := &authority{key: key, pool: x509.NewCertPool()}
	if out.certificate, err = x509.ParseCertificate(der); err == nil {
		out.pool.AddCert(out.certificate)
	}
	return out, err
}

func certificateTemplate(serial int64, commonName string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC),
		BasicConstraintsValid: true,
	}
}

func (a *authority) issue(serial int64, commonName string, key crypto.Signer) (tls.Certificate, error) {
	template := certificateTemplate(serial, commonName)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames = []string{"second.example"}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// identities returns one identity for each signature scheme.
func (a *authority) identities() (onP256, onRSA, onEd25519 tls.Certificate, err error) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return
	}
	modulus, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return
	}
	if onP256, err = a.issue(2, "ecdsa", p256); err != nil {
		return
	}
	if onRSA, err = a.issue(3, "rsa", modulus); err != nil {
		return
	}
	onEd25519, err = a.issue(4, "ed25519", edwards)
	return
}

// memoryTLS holds both ends of one connection, and the signature schemes and extensions of its ClientHello.
type memoryTLS struct {
	client, server      tls.ConnectionState
	schemes, extensions []uint16
}

func dialMemory(identity tls.Certificate, issuer *authority) (*memoryTLS, error) {
	out := &memoryTLS{}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	server := tls.Server(far, &tls.Config{
		Certificates:           []tls.Certificate{identity},
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			for _, scheme := range hello.SignatureSchemes {
				out.schemes = append(out.schemes, uint16(scheme))
			}
			out.extensions = hello.Extensions
			return nil, nil
		},
	})
	client := tls.Client(near, &tls.Config{RootCAs: issuer.pool, ServerName: "second.example", MinVersion: tls.VersionTLS13})
	served := make(chan error, 1)
	go func() {
		err := server.Handshake()
		if err != nil {
			far.Close()
		}
		served <- err
	}()
	if err := client.Handshake(); err != nil {
		return nil, err
	}
	if err := <-served; err != nil {
		return nil, err
	}
	out.client, out.server = client.ConnectionState(), server.ConnectionState()
	return out, nil
}

// keys returns the keys of a sender as exported by the sender and as exported by its peer. With sha384, the keys are random and
// belong to no connection.
func (m *memoryTLS) keys(sender string, sha384 bool) (own, peers eaKeys, err error) {
	if sha384 {
		own = eaKeys{sender: sender, hash: crypto.SHA384, handshakeContext: make([]byte, 48), finishedKey: make([]byte, 48)}
		rand.Read(own.handshakeContext)
		rand.Read(own.finishedKey)
		return own, own, nil
	}
	near, far := &m.client, &m.server
	if sender == "server" {
		near, far = far, near
	}
	if own, err = exportedKeys(near, sender); err == nil {
		peers, err = exportedKeys(far, sender)
	}
	return own, peers, err
}
