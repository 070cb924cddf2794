package main

import (
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// tpmKeyFile is TPMKey of draft-bottomley-tpm2-keys, as far as these tests use it.
type tpmKeyFile struct {
	Type        asn1.ObjectIdentifier
	EmptyAuth   bool   `asn1:"optional,explicit,tag:0"`
	Description string `asn1:"optional,explicit,tag:4,utf8"`
	Parent      int64
	Public      []byte
	Private     []byte
}

// h2 is the template of the primary key with handle 0x40000001.
var h2 = tpm2.TPMTPublic{
	Type:    tpm2.TPMAlgECC,
	NameAlg: tpm2.TPMAlgSHA256,
	ObjectAttributes: tpm2.TPMAObject{
		FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true, Restricted: true, Decrypt: true,
	},
	Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
		Symmetric: tpm2.TPMTSymDefObject{
			Algorithm: tpm2.TPMAlgAES,
			KeyBits:   tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
			Mode:      tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
		},
		CurveID: tpm2.TPMECCNistP256,
	}),
	Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{}),
}

// openTPMKey loads a key file into the swtpm at address and gives its HMAC.
func openTPMKey(address, keyFile string) (prf, func(), error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "TSS2 PRIVATE KEY" {
		return nil, nil, errors.New("no TSS2 PRIVATE KEY")
	}
	var file tpmKeyFile
	if _, err := asn1.Unmarshal(block.Bytes, &file); err != nil {
		return nil, nil, err
	}
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	tpm := transport.FromReadWriter(connection)
	primary, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(h2)}.Execute(tpm)
	if err != nil {
		return nil, nil, err
	}
	public, err := tpm2.Unmarshal[tpm2.TPM2BPublic](file.Public)
	if err != nil {
		return nil, nil, err
	}
	private, err := tpm2.Unmarshal[tpm2.TPM2BPrivate](file.Private)
	if err != nil {
		return nil, nil, err
	}
	parent := tpm2.NamedHandle{Handle: primary.ObjectHandle, Name: primary.Name}
	loaded, err := tpm2.Load{ParentHandle: parent, InPrivate: *private, InPublic: *public}.Execute(tpm)
	if err != nil {
		return nil, nil, err
	}
	done := func() {
		tpm2.FlushContext{FlushHandle: loaded.ObjectHandle}.Execute(tpm)
		tpm2.FlushContext{FlushHandle: primary.ObjectHandle}.Execute(tpm)
		connection.Close()
	}
	return func(data []byte) ([]byte, error) {
		answer, err := tpm2.Hmac{
			Handle:  tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: tpm2.PasswordAuth(nil)},
			Buffer:  tpm2.TPM2BMaxBuffer{Buffer: data},
			HashAlg: tpm2.TPMAlgSHA256,
		}.Execute(tpm)
		if err != nil {
			return nil, err
		}
		return answer.OutHMAC.Buffer, nil
	}, done, nil
}

// tpmHMAC prints the HMAC of a key file's key over data.
func tpmHMAC(arguments []string) error {
	flags := flag.NewFlagSet("hmac", flag.ExitOnError)
	address := flags.String("tpm", "", "host:port of a swtpm")
	keyFile := flags.String("key", "", "TSS2 PEM")
	data := flags.String("data", "", "text")
	flags.Parse(arguments)
	key, done, err := openTPMKey(*address, *keyFile)
	if err != nil {
		return err
	}
	defer done()
	answer, err := key([]byte(*data))
	if err == nil {
		fmt.Println(hex.EncodeToString(answer))
	}
	return err
}
