package main

import (
	"encoding/hex"
	"flag"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

var (
	signatureAlgorithms = []jose.SignatureAlgorithm{jose.HS256}
	keyAlgorithms       = []jose.KeyAlgorithm{jose.DIRECT}
	contentEncryptions  = []jose.ContentEncryption{jose.A256GCM}
	claims              = jwt.Claims{Issuer: "issuer", Subject: "subject"}
)

func signed(signingKey []byte) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: signingKey}, nil)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

func nested(signingKey, encryptionKey []byte) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: signingKey}, nil)
	if err != nil {
		return "", err
	}
	options := (&jose.EncrypterOptions{}).WithType("JWT").WithContentType("JWT").WithHeader("kid", "client_1")
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: encryptionKey}, options)
	if err != nil {
		return "", err
	}
	return jwt.SignedAndEncrypted(signer, encrypter).Claims(claims).Serialize()
}

// verify verifies a token of either form and returns its claims.
func verify(text string, signingKey, encryptionKey []byte) (jwt.Claims, error) {
	var out jwt.Claims
	if outer, err := jwt.ParseSignedAndEncrypted(text, keyAlgorithms, contentEncryptions, signatureAlgorithms); err == nil {
		inner, err := outer.Decrypt(encryptionKey)
		if err != nil {
			return out, err
		}
		return out, inner.Claims(signingKey, &out)
	}
	parsed, err := jwt.ParseSigned(text, signatureAlgorithms)
	if err != nil {
		return out, err
	}
	return out, parsed.Claims(signingKey, &out)
}

// token prints a token of each form for the given keys, or verifies one token.
func token(arguments []string) error {
	flags := flag.NewFlagSet("token", flag.ExitOnError)
	signing := flags.String("signing-key", "", "hex")
	encryption := flags.String("encryption-key", "", "hex")
	check := flags.String("verify", "", "a token")
	flags.Parse(arguments)
	signingKey, err := hex.DecodeString(*signing)
	if err != nil {
		return err
	}
	encryptionKey, err := hex.DecodeString(*encryption)
	if err != nil {
		return err
	}
	if *check != "" {
		claims, err := verify(*check, signingKey, encryptionKey)
		if err == nil {
			fmt.Println(claims.Issuer, claims.Subject)
		}
		return err
	}
	jws, err := signed(signingKey)
	if err != nil {
		return err
	}
	jwe, err := nested(signingKey, encryptionKey)
	if err != nil {
		return err
	}
	fmt.Println(jws)
	fmt.Println(jwe)
	return nil
}
