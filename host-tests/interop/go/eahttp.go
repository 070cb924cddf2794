package main

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"strings"
)

// Names and limits for requests and authenticators in HTTP/1.1 header fields.
const (
	eaScheme       = "Exported-Authenticator"
	eaRequestField = "Exported-Authenticator-Request"
	eaAnswerField  = "Exported-Authenticator"

	maxRequestBytes       = 1024
	maxAuthenticatorBytes = 8192
	maxCertificates       = 5
	maxRequests           = 64
)

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func decode(text string, maxBytes int) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, malformed("invalid base64")
	}
	if len(raw) == 0 || len(raw) > maxBytes {
		return nil, malformed("invalid length")
	}
	return raw, nil
}

func decodeAuthenticator(keys eaKeys, text string) (*authenticator, error) {
	raw, err := decode(text, maxAuthenticatorBytes)
	if err != nil {
		return nil, err
	}
	out, err := keys.parse(raw)
	if err != nil {
		return nil, err
	}
	if len(out.entries) > maxCertificates {
		return nil, malformed("too many certificates")
	}
	return out, nil
}

// credentials returns the part of an Authorization field that follows the name of the scheme, and whether the scheme is eaScheme.
func credentials(field string) (string, bool) {
	scheme, rest, _ := strings.Cut(field, " ")
	return strings.Trim(rest, " "), strings.EqualFold(scheme, eaScheme)
}

// challengedRequest returns the request parameter of the first challenge with eaScheme in all WWW-Authenticate fields.
func challengedRequest(fields []string) (string, error) {
	found := false
	for _, field := range fields {
		ours, text := false, ""
		for _, item := range splitList(field) {
			name, rest := cutToken(item)
			if name == "" {
				return "", errors.New("malformed WWW-Authenticate field")
			}
			if !strings.HasPrefix(rest, "=") {
				if found {
					return text, nil
				}
				ours = strings.EqualFold(name, eaScheme)
				if name, rest = cutToken(rest); !strings.HasPrefix(rest, "=") {
					continue
				}
			}
			if ours && strings.EqualFold(name, "request") {
				if found {
					return "", errors.New("repeated request parameter in a challenge")
				}
				found, text = true, unquote(strings.Trim(rest[1:], " \t"))
			}
		}
		if found {
			return text, nil
		}
	}
	return "", errors.New("no challenge with scheme " + eaScheme)
}

// splitList splits a field at the commas outside quoted strings.
func splitList(field string) (out []string) {
	quoted, start := false, 0
	add := func(end int) {
		if item := strings.Trim(field[start:end], " \t"); item != "" {
			out = append(out, item)
		}
		start = end + 1
	}
	for i := 0; i < len(field); i++ {
		switch {
		case quoted && field[i] == '\\':
			i++
		case field[i] == '"':
			quoted = !quoted
		case field[i] == ',' && !quoted:
			add(i)
		}
	}
	add(len(field))
	return out
}

func cutToken(text string) (token, rest string) {
	end := strings.IndexAny(text, " \t=\"")
	if end < 0 {
		return text, ""
	}
	return text[:end], strings.TrimLeft(text[end:], " \t")
}

func unquote(text string) string {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return text
	}
	var out strings.Builder
	for i := 1; i < len(text)-1; i++ {
		if text[i] == '\\' {
			i++
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

func loadPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no PEM certificate in " + file)
	}
	return pool, nil
}
