package main

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"strings"
)

// How requests and authenticators travel in HTTP/1.1.
const (
	eaScheme       = "Exported-Authenticator"
	eaRequestField = "Exported-Authenticator-Request"
	eaAnswerField  = "Exported-Authenticator"

	mostRequestBytes       = 1024
	mostAuthenticatorBytes = 8192
	mostCertificates       = 5
	mostRequests           = 64
)

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func decode(text string, most int) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, malformed("base64")
	}
	if len(raw) == 0 || len(raw) > most {
		return nil, malformed("length")
	}
	return raw, nil
}

func decodeAuthenticator(keys eaKeys, text string) (*authenticator, error) {
	raw, err := decode(text, mostAuthenticatorBytes)
	if err != nil {
		return nil, err
	}
	out, err := keys.parse(raw)
	if err != nil {
		return nil, err
	}
	if len(out.entries) > mostCertificates {
		return nil, malformed("too many certificates")
	}
	return out, nil
}

// credentials gives what follows the scheme's name in an Authorization field.
func credentials(field string) (string, bool) {
	scheme, rest, _ := strings.Cut(field, " ")
	return strings.Trim(rest, " "), strings.EqualFold(scheme, eaScheme)
}

// challengedRequest finds the parameter request of the first challenge of the scheme among all WWW-Authenticate fields.
func challengedRequest(fields []string) (string, error) {
	found := false
	for _, field := range fields {
		ours, text := false, ""
		for _, item := range splitList(field) {
			name, rest := cutToken(item)
			if name == "" {
				return "", errors.New("WWW-Authenticate")
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
					return "", errors.New("request twice")
				}
				found, text = true, unquote(strings.Trim(rest[1:], " \t"))
			}
		}
		if found {
			return text, nil
		}
	}
	return "", errors.New("no challenge")
}

// splitList splits at the commas outside of quoted strings.
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
		return nil, errors.New("no certificate in " + file)
	}
	return pool, nil
}
