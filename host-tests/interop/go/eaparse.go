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

// eaParse reads lines of a kind and hexadecimal bytes: 13 and 17 are requests; SHA-256 and SHA-384 are authenticators of a
// connection with this hash. It prints the content of each as a line of JSON, which is null if the bytes are invalid.
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
			return fmt.Errorf("unknown kind %q", kind)
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
	parsed, err := eaKeys{hash: hash}.parse(raw)
	if err != nil {
		return nil
	}
	out := &parsedAuthenticator{
		Empty: parsed.empty(), Context: hex.EncodeToString(parsed.context), Certificates: []string{}, Scheme: parsed.scheme,
		Signature: hex.EncodeToString(parsed.signature),
	}
	for _, one := range parsed.entries {
		out.Certificates = append(out.Certificates, hex.EncodeToString(one))
	}
	return out
}
