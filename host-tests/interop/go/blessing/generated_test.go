package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"
)

// generatedVectors is what the tests use of vanadium.json.
type generatedVectors struct {
	Generated struct {
		Blessings map[string]struct {
			Names    string `json:"names"`
			UniqueID string `json:"unique_id"`
			VOM      string `json:"vom"`
		} `json:"blessings"`
		Caveats map[string]struct {
			ID    string `json:"id"`
			Param string `json:"param_vom"`
		} `json:"caveats"`
		Handshake  map[string]any    `json:"handshake_rpc14"`
		Keys       map[string]string `json:"keys"`
		ThirdParty struct {
			CaveatID  string `json:"caveat_id"`
			Discharge string `json:"discharge_vom"`
			ID        string `json:"id"`
			Param     string `json:"param_vom"`
		} `json:"third_party"`
	} `json:"generated"`
	Upstream struct {
		Purpose string `json:"purpose"`
		Message string `json:"message"`
		Entries []struct {
			Key       string `json:"key"`
			PEM       string `json:"private_pem"`
			DER       string `json:"pkix_der"`
			Hash      string `json:"hash"`
			Digest    string `json:"message_digest"`
			Signature string `json:"signature"`
		} `json:"entries"`
	} `json:"upstream_digest_test"`
}

// generatedKeys returns the Ed25519 keys 1 and 2 and the P-256 key.
func generatedKeys(t *testing.T, recorded *generatedVectors) (ed1, ed2, p256 *privateKey) {
	t.Helper()
	load := func(kind, secret, public string) *privateKey {
		key, err := parsePrivateKey(kind, unhex(t, recorded.Generated.Keys[secret]))
		noError(t, err)
		if hexOf(key.der) != recorded.Generated.Keys[public] {
			t.Errorf("%s is %x", public, key.der)
		}
		return key
	}
	return load("ed25519", "ed25519#1_seed", "ed25519#1_pkix"), load("ed25519", "ed25519#2_seed", "ed25519#2_pkix"),
		load("p256", "p256_private_scalar", "p256_pkix")
}

func TestGeneratedBlessings(t *testing.T) {
	var recorded generatedVectors
	vectors(t, "vanadium.json", &recorded)
	ed1, ed2, p256 := generatedKeys(t, &recorded)

	alice, err := selfSigned(ed1, "alice", nil)
	noError(t, err)
	friend, err := alice.bless(ed1, p256.publicKey, "u:friend", []caveat{
		{idMethod, methodParam([]string{"Put", "Get"})},
		{idExpiry, timeParam(time.Date(2030, 1, 2, 3, 4, 5, 600, time.UTC))},
	})
	noError(t, err)
	made := map[string]blessings{
		"alice (ed25519, self, no caveat)":                              alice,
		"alice:u:friend (ed25519 blesses P-256; caveats method,expiry)": friend,
		"nameless (ed25519#2)":                                          nameless(ed2.publicKey),
	}
	for name, want := range recorded.Generated.Blessings {
		b := made[name]
		if got := hexOf(encodeSingle(blessingsValue(b))); got != want.VOM {
			t.Errorf("%s: encoded\n%s\n%s", name, got, want.VOM)
		}
		noError(t, b.validate())
		id, err := b.uniqueID()
		noError(t, err)
		if hexOf(id) != want.UniqueID || strings.Join(b.names(), ",") != want.Names {
			t.Errorf("%s: unique id %x, names %q", name, id, b.names())
		}
	}
}

func TestGeneratedCaveats(t *testing.T) {
	var recorded generatedVectors
	vectors(t, "vanadium.json", &recorded)
	made := map[string]caveat{
		"const_false":               {idConst, constParam(false)},
		"const_true(unconstrained)": {idConst, constParam(true)},
		"expiry":                    {idExpiry, timeParam(time.Date(2030, 1, 2, 3, 4, 5, 600, time.UTC))},
		"not_before":                {idNotBefore, timeParam(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))},
		"method":                    {idMethod, methodParam([]string{"Put", "Get"})},
		"peer_blessings":            {idPeers, peersParam([]string{"alice:u:friend", "bob:$"})},
	}
	for name, want := range recorded.Generated.Caveats {
		got := made[name]
		if hexOf(got.id[:]) != want.ID || hexOf(got.param) != want.Param {
			t.Errorf("%s: %x", name, got.param)
		}
	}

	third := recorded.Generated.ThirdParty
	c := caveat{sixteen(third.CaveatID), unhex(t, third.Param)}
	p, err := c.thirdParty()
	noError(t, err)
	id, err := p.dischargeID()
	noError(t, err)
	decoded, err := decodeSingle(unhex(t, third.Discharge))
	noError(t, err)
	d, err := wantDischarge(decoded)
	noError(t, err)
	if id != third.ID || d.caveatID != id {
		t.Errorf("discharges %q and %q", id, d.caveatID)
	}
	if got := hexOf(encodeSingle(dischargeValue(d))); got != third.Discharge {
		t.Errorf("the discharge is encoded as %s", got)
	}
	key, err := parsePublicKey(p.dischargerKey)
	noError(t, err)
	if !key.verify(d.message(), d.signature) {
		t.Error("the signature of the discharge is wrong")
	}
}

func TestUpstreamDigests(t *testing.T) {
	var recorded generatedVectors
	vectors(t, "vanadium.json", &recorded)
	message, purpose := []byte(recorded.Upstream.Message), []byte(recorded.Upstream.Purpose)
	for _, entry := range recorded.Upstream.Entries {
		public, err := parsePublicKey(unhex(t, entry.DER))
		noError(t, err)
		digest, _ := messageDigest(public.der, message, purpose, entry.Hash)
		if hexOf(digest) != entry.Digest {
			t.Errorf("%s: digest %x", entry.Key, digest)
		}
		if public.hash() != entry.Hash {
			t.Errorf("%s: hash %s", entry.Key, public.hash())
		}
		s := signature{purpose: purpose, hash: entry.Hash}
		if private := parsePEM(t, entry.PEM); private != nil {
			key, err := newPrivateKey(private)
			noError(t, err)
			s, err = key.sign(message, recorded.Upstream.Purpose)
			if _, isRSA := private.(*rsa.PrivateKey); isRSA {
				s.rsa1 = unhex(t, entry.Signature)
			} else {
				noError(t, err)
			}
			if entry.Signature != "" && hexOf(slices.Concat(s.ed25519, s.rsa1)) != entry.Signature {
				t.Errorf("%s: signature %x", entry.Key, s.ed25519)
			}
		}
		if !public.verify(message, s) {
			t.Errorf("%s: the signature is wrong", entry.Key)
		}
		if public.verify(append(message, '!'), s) {
			t.Errorf("%s: the signature is right for another message", entry.Key)
		}
	}
}

func parsePEM(t *testing.T, text string) crypto.Signer {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	noError(t, err)
	return key.(crypto.Signer)
}

func TestUnion(t *testing.T) {
	var recorded generatedVectors
	vectors(t, "vanadium.json", &recorded)
	ed1, ed2, p256 := generatedKeys(t, &recorded)
	build := func(signer *privateKey, name, extension string) blessings {
		root, err := selfSigned(signer, name, nil)
		noError(t, err)
		b, err := root.bless(signer, p256.publicKey, extension, nil)
		noError(t, err)
		return b
	}
	short, err := selfSigned(p256, "z", nil)
	noError(t, err)
	both, err := union(build(ed2, "b", "x"), build(ed1, "a", "x"), short)
	noError(t, err)
	noError(t, both.validate())
	if names := both.names(); !slices.Equal(names, []string{"z", "a:x", "b:x"}) {
		t.Errorf("names %q", names)
	}
	if again, err := decodeBlessings(encodeSingle(blessingsValue(both))); err != nil || !slices.Equal(again.names(), both.names()) {
		t.Errorf("decoded: %v", err)
	}
	if _, err := union(short, build(ed1, "a", "x"), nameless(ed1.publicKey)); err == nil {
		t.Error("blessings of different keys are joined")
	}
	if _, err := short.bless(ed1, ed2.publicKey, "x", nil); err == nil {
		t.Error("blessings are extended by another key")
	}
}
