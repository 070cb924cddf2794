package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"

	"github.com/hashicorp/vault/sdk/helper/kdf"
)

// prf is HMAC-SHA256 with a key that may be in a TPM.
type prf func(data []byte) ([]byte, error)

func softwarePRF(secret []byte) prf {
	return func(data []byte) ([]byte, error) {
		mac := hmac.New(sha256.New, secret)
		mac.Write(data)
		return mac.Sum(nil), nil
	}
}

// apiKey derives the key like the Go demo: Vault's counter mode over keying material with the client id as context.
func apiKey(state tls.ConnectionState, clientID string, key prf) ([]byte, error) {
	ekm, err := state.ExportKeyingMaterial("EXPORTER-my_label", []byte(clientID), 32)
	if err != nil {
		return nil, err
	}
	step := func(_, data []byte) ([]byte, error) { return key(data) }
	return kdf.CounterMode(step, kdf.HMACSHA256PRFLen, nil, ekm, 256)
}

// tokenKey derives the key like the Go demo: HMAC over keying material with a fixed context.
func tokenKey(state tls.ConnectionState, context string, key prf) ([]byte, error) {
	ekm, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte(context), 32)
	if err != nil {
		return nil, err
	}
	return key(ekm)
}
