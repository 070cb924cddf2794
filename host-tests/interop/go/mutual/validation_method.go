package main

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// Tokens of the validation methods; the last is a private extension whose vh is the tls-exporter value of RFC 9266.
const (
	validateHost     = "host"
	validateEndPoint = "tls-server-end-point"
	validateUnique   = "tls-unique"
	validateExporter = "-tls-exporter.chanbind.github.io"
)

// link is what a validation method needs to know about one connection.
type link struct {
	origin origin
	// state is nil if the connection is not encrypted.
	state *tls.ConnectionState
	// leaf is the certificate that the server has sent.
	leaf *x509.Certificate
}

// validationValue returns vh for a method, or an error if the method is unknown or not available on the connection.
func validationValue(method string, l link) ([]byte, error) {
	if method == validateHost {
		return []byte(l.origin.validationString()), nil
	}
	if l.state == nil {
		return nil, fmt.Errorf("the validation method %q needs TLS", method)
	}
	switch method {
	case validateEndPoint:
		return endPointValue(l.leaf)
	case validateUnique:
		if l.state.Version >= tls.VersionTLS13 || len(l.state.TLSUnique) == 0 {
			return nil, errors.New("tls-unique is not defined for this connection")
		}
		return l.state.TLSUnique, nil
	case validateExporter:
		// The context is empty but present, which makes a difference before TLS 1.3.
		return l.state.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
	}
	return nil, fmt.Errorf("the validation method %q is unknown", method)
}

// endPointValue hashes the certificate as RFC 5929 section 4.1 says.
func endPointValue(leaf *x509.Certificate) ([]byte, error) {
	if leaf == nil {
		return nil, errors.New("there is no server certificate")
	}
	var hash crypto.Hash
	switch leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.SHA256WithRSA, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		hash = crypto.SHA256
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		hash = crypto.SHA512
	default:
		return nil, fmt.Errorf("tls-server-end-point is not defined for certificates with %v", leaf.SignatureAlgorithm)
	}
	state := hash.New()
	state.Write(leaf.Raw)
	return state.Sum(nil), nil
}
