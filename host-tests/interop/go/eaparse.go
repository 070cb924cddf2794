package main

import (
	"bufio"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
)

type parsedRequest struct {
	Context    string   `json:"context"`
	Schemes    []uint16 `json:"schemes"`
	ServerName string   `json:"server_name"`
	Extensions []uint16 `json:"extensions"`
}

type parsedAuthenticator struct {
	Empty        bool     `json:"empty"`
	Context      string   `json:"context"`
	Certificates []string `json:"certificates"`
	Scheme       uint16   `json:"scheme"`
	Signature    string   `json:"signature"`
}

// eaParse reads lines of a kind and hexadecimal bytes: 13 and 17 are requests, SHA-256 and SHA-384 authenticators of such a
// connection. It prints what is in them, one line each, null where they are none.
func eaParse(arguments []string) error {
	flags := flag.NewFlagSet("ea-parse", flag.ExitOnError)
	flags.Parse(arguments)
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		kind, text, _ := strings.Cut(in.Text(), " ")
		raw, err := hex.DecodeString(text)
		if err != nil {
			return err
		}
		var parsed any
		switch kind {
		case "13":
			parsed = describeRequest(raw, typeCertificateRequest)
		case "17":
			parsed = describeRequest(raw, typeClientCertificateRequest)
		case crypto.SHA256.String():
			parsed = describeAuthenticator(raw, crypto.SHA256)
		case crypto.SHA384.String():
			parsed = describeAuthenticator(raw, crypto.SHA384)
		default:
			return fmt.Errorf("what is %q?", kind)
		}
		if err := out.Encode(parsed); err != nil {
			return err
		}
	}
	return in.Err()
}

func describeRequest(raw []byte, kind int) *parsedRequest {
	request, err := parseRequest(raw, kind)
	if err != nil {
		return nil
	}
	return &parsedRequest{hex.EncodeToString(request.context), request.schemes, request.serverName, request.extensions}
}

func describeAuthenticator(raw []byte, hash crypto.Hash) *parsedAuthenticator {
	given, err := eaKeys{hash: hash}.parse(raw)
	if err != nil {
		return nil
	}
	out := &parsedAuthenticator{
		Empty: given.empty(), Context: hex.EncodeToString(given.context), Certificates: []string{}, Scheme: given.scheme,
		Signature: hex.EncodeToString(given.signature),
	}
	for _, one := range given.entries {
		out.Certificates = append(out.Certificates, hex.EncodeToString(one))
	}
	return out
}
