package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// tpmKeyFile is the part of TPMKey (draft-bottomley-tpm2-keys) that these tests use.
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

// tpmKey is a loaded key.
type tpmKey struct {
	tpm    transport.TPM
	handle tpm2.AuthHandle
	public *tpm2.TPMTPublic
	done   func()
}

// loadTPMKey loads a key file into the swtpm at address.
func loadTPMKey(address, keyFile string) (*tpmKey, error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "TSS2 PRIVATE KEY" {
		return nil, errors.New("no TSS2 PRIVATE KEY in " + keyFile)
	}
	var file tpmKeyFile
	if _, err := asn1.Unmarshal(block.Bytes, &file); err != nil {
		return nil, err
	}
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	tpm := transport.FromReadWriter(connection)
	primary, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(h2)}.Execute(tpm)
	if err != nil {
		return nil, err
	}
	public, err := tpm2.Unmarshal[tpm2.TPM2BPublic](file.Public)
	if err != nil {
		return nil, err
	}
	private, err := tpm2.Unmarshal[tpm2.TPM2BPrivate](file.Private)
	if err != nil {
		return nil, err
	}
	parent := tpm2.NamedHandle{Handle: primary.ObjectHandle, Name: primary.Name}
	loaded, err := tpm2.Load{ParentHandle: parent, InPrivate: *private, InPublic: *public}.Execute(tpm)
	if err != nil {
		return nil, err
	}
	contents, err := public.Contents()
	if err != nil {
		return nil, err
	}
	return &tpmKey{
		tpm:    tpm,
		handle: tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: tpm2.PasswordAuth(nil)},
		public: contents,
		done: func() {
			tpm2.FlushContext{FlushHandle: loaded.ObjectHandle}.Execute(tpm)
			tpm2.FlushContext{FlushHandle: primary.ObjectHandle}.Execute(tpm)
			connection.Close()
		},
	}, nil
}

// openTPMKey loads a key file and returns the HMAC with its key, and a function that unloads it.
func openTPMKey(address, keyFile string) (prf, func(), error) {
	key, err := loadTPMKey(address, keyFile)
	if err != nil {
		return nil, nil, err
	}
	return func(data []byte) ([]byte, error) {
		response, err := tpm2.Hmac{
			Handle:  key.handle,
			Buffer:  tpm2.TPM2BMaxBuffer{Buffer: data},
			HashAlg: tpm2.TPMAlgSHA256,
		}.Execute(key.tpm)
		if err != nil {
			return nil, err
		}
		return response.OutHMAC.Buffer, nil
	}, key.done, nil
}

// tpmSigner is a crypto.Signer with the ECDSA key on P-256 of a key file.
type tpmSigner struct {
	*tpmKey
	point *ecdsa.PublicKey
}

func openTPMSigner(address, keyFile string) (*tpmSigner, error) {
	key, err := loadTPMKey(address, keyFile)
	if err != nil {
		return nil, err
	}
	unique, err := key.public.Unique.ECC()
	if err != nil {
		return nil, err
	}
	point := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(unique.X.Buffer), Y: new(big.Int).SetBytes(unique.Y.Buffer)}
	return &tpmSigner{key, point}, nil
}

func (s *tpmSigner) Public() crypto.PublicKey { return s.point }

func (s *tpmSigner) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	response, err := tpm2.Sign{
		KeyHandle:  s.handle,
		Digest:     tpm2.TPM2BDigest{Buffer: digest},
		InScheme:   tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
		Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
	}.Execute(s.tpm)
	if err != nil {
		return nil, err
	}
	signature, err := response.Signature.Signature.ECDSA()
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(struct{ R, S *big.Int }{
		new(big.Int).SetBytes(signature.SignatureR.Buffer), new(big.Int).SetBytes(signature.SignatureS.Buffer),
	})
}

// tpmHMAC prints the HMAC of data with the key of a key file.
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
	mac, err := key([]byte(*data))
	if err == nil {
		fmt.Println(hex.EncodeToString(mac))
	}
	return err
}
