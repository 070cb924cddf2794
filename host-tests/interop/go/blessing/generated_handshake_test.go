package main

import (
	"bytes"
	"crypto/ecdh"
	"testing"
)

// TestGeneratedHandshake makes the handshake with fixed keys again, octet for octet.
func TestGeneratedHandshake(t *testing.T) {
	var recorded generatedVectors
	vectors(t, "vanadium.json", &recorded)
	ed1, ed2, _ := generatedKeys(t, &recorded)
	want := recorded.Generated.Handshake
	text := func(name string) string { return want[name].(string) }
	makeSetup := func(end string) (*setup, *ecdh.PrivateKey) {
		secret, err := ecdh.X25519().NewPrivateKey(unhex(t, text(end+"_nacl_secret")))
		noError(t, err)
		s := &setup{min: 10, max: 14, naclKey: secret.PublicKey().Bytes(), localEndpoint: text(end + "_endpoint"), mtu: defaultMTU, sharedTokens: defaultSharedTokens}
		if end == "dialer" {
			s.remoteEndpoint = text("acceptor_endpoint")
		}
		if hexOf(s.encode()) != text(end+"_setup") || hexOf(frame(s.encode())) != text("framed_"+end+"_setup") {
			t.Errorf("the %s's Setup is %x", end, s.encode())
		}
		return s, secret
	}
	dialer, dialerSecret := makeSetup("dialer")
	acceptor, acceptorSecret := makeSetup("acceptor")
	binding := bindingOf(14, dialer, acceptor, dialer.encode(), acceptor.encode())
	if hexOf(binding) != text("binding") {
		t.Errorf("binding %x", binding)
	}
	if keys := bindingOf(13, dialer, acceptor, nil, nil); hexOf(keys) != text("nacl_channel_binding_rpc11_to_13") {
		t.Errorf("binding of the keys %x", keys)
	}
	alice, err := selfSigned(ed1, "alice", nil)
	noError(t, err)

	check := func(direction string, secret *ecdh.PrivateKey, peer *setup, key *privateKey, b blessings, tag, otherTag string) {
		want := want[direction].(map[string]any)
		encryption, err := newBox(secret, peer.naclKey)
		noError(t, err)
		var w blessingsWriter
		octets, number := w.blessings(b)
		m := &data{flow: blessingsFlow, payload: octets}
		a := &auth{octet: octetAuthEd25519, blessingsKey: number}
		a.signature, err = key.sign(append([]byte(tag), binding...), purposeMessage)
		noError(t, err)
		got := map[string][]byte{
			"blessings_flow_vom": octets, "data_message": m.encode(), "auth_message": a.encode(), "signature_ed25519": a.signature.ed25519,
			"sealed_data": encryption.seal(m.encode()), "sealed_auth": encryption.seal(a.encode()),
		}
		got["framed_sealed_data"], got["framed_sealed_auth"] = frame(got["sealed_data"]), frame(got["sealed_auth"])
		for name, octets := range got {
			if hexOf(octets) != want[name] {
				t.Errorf("%s %s is\n%x\n%s", direction, name, octets, want[name])
			}
		}
		reader := newBlessingsReader()
		for i := range octets {
			noError(t, reader.write(octets[i:i+1]))
		}
		_, _, err = reader.checkAuth(a, tag, binding, false)
		noError(t, err)
		if _, _, err = reader.checkAuth(a, otherTag, binding, false); err == nil {
			t.Error("the signature is right with the other tag")
		}
	}
	check("acceptor_to_dialer", acceptorSecret, dialer, ed1, alice, tagAcceptor, tagDialer)
	check("dialer_to_acceptor", dialerSecret, acceptor, ed2, nameless(ed2.publicKey), tagDialer, tagAcceptor)
}

// TestMalformedInput decodes damaged streams, which must end with errors or other values but never with a panic.
func TestMalformedInput(t *testing.T) {
	var recorded generatedVectors
	vectors(t, "vanadium.json", &recorded)
	for _, entry := range recorded.Generated.Blessings {
		octets := unhex(t, entry.VOM)
		for i := range octets {
			if _, err := decodeBlessings(octets[:i]); err == nil {
				t.Errorf("%d octets of %d are enough", i, len(octets))
			}
			for _, change := range []byte{0x01, 0x80, 0xff} {
				damaged := bytes.Clone(octets)
				damaged[i] ^= change
				show(damaged)
				newBlessingsReader().write(damaged)
			}
		}
	}
}
