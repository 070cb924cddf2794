package main

import (
	"bytes"
	"crypto/ecdh"
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/crypto/nacl/secretbox"
	"golang.org/x/crypto/salsa20/salsa"
)

// box seals what one end sends, and opens what it receives.
type box struct {
	key            [32]byte
	smaller        bool // whether this end's public key is the smaller one
	sent, received uint64
	wrongNonce     bool // a misdeed: seal with the nonces of the other direction
}

// newBox derives the key. It refuses public keys of low order, and the own key.
func newBox(secret *ecdh.PrivateKey, peer []byte) (*box, error) {
	own := secret.PublicKey().Bytes()
	if bytes.Equal(own, peer) {
		return nil, errors.New("the other end shows this end's own box key")
	}
	public, err := ecdh.X25519().NewPublicKey(peer)
	if err != nil {
		return nil, err
	}
	shared, err := secret.ECDH(public)
	if err != nil {
		return nil, err
	}
	b := &box{smaller: bytes.Compare(own, peer) < 0}
	var zero [16]byte
	salsa.HSalsa20(&b.key, &zero, (*[32]byte)(shared), &salsa.Sigma)
	return b, nil
}

// nonce returns the nonce of the frame with the number.
func nonce(number uint64, bySmaller bool) *[24]byte {
	n := new([24]byte)
	binary.LittleEndian.PutUint64(n[:], number)
	if bySmaller {
		n[8] = 1
	}
	return n
}

// seal encrypts the next message.
func (b *box) seal(plain []byte) []byte {
	sealed := secretbox.Seal(nil, plain, nonce(b.sent, b.smaller != b.wrongNonce), &b.key)
	b.sent++
	return sealed
}

// open decrypts the next message. A frame that does not open does not count.
func (b *box) open(sealed []byte) ([]byte, bool) {
	plain, opened := secretbox.Open(nil, sealed, nonce(b.received, !b.smaller), &b.key)
	if opened {
		b.received++
	}
	return plain, opened
}

// maxFrame bounds the octets of a frame that this program reads.
const maxFrame = 1 << 20

// frame puts the head before a message.
func frame(body []byte) []byte {
	head := 0xffffff - len(body)
	return append([]byte{byte(head >> 16), byte(head >> 8), byte(head)}, body...)
}

// readFrame reads one frame.
func readFrame(from io.Reader) ([]byte, error) {
	var head [3]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return nil, err
	}
	length := 0xffffff - (int(head[0])<<16 | int(head[1])<<8 | int(head[2]))
	if length == 0 || length > maxFrame {
		return nil, errors.New("a frame is empty or too long")
	}
	body := make([]byte, length)
	_, err := io.ReadFull(from, body)
	return body, err
}
