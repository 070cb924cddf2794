package main

import (
	"bytes"
	"math/big"
	"testing"
)

// TestExchange makes a full exchange with each algorithm in memory, with the right and with a wrong credential.
func TestExchange(t *testing.T) {
	lengths := map[string][3]int{
		"iso-kam3-dl-2048-sha256": {256, 344, 44}, "iso-kam3-dl-4096-sha512": {512, 684, 88},
		"iso-kam3-ec-p256-sha256": {33, 66, 64}, "iso-kam3-ec-p521-sha512": {66, 132, 128},
	}
	for _, a := range algorithms {
		t.Run(a.token, func(t *testing.T) {
			pi, err := a.derivePi("example.com", "a realm", "user", "secret")
			if err != nil {
				t.Fatal(err)
			}
			for _, right := range []bool{true, false} {
				known := integer(pi)
				if !right {
					known.Add(known, one)
				}
				client, server := exchangeInMemory(t, a, known, integer(pi))
				vkc := client.clientVerification(one, []byte("vh"))
				if equal := bytes.Equal(vkc, server.clientVerification(one, []byte("vh"))); equal != right {
					t.Errorf("VK_c is equal: %v", equal)
				}
				if equal := bytes.Equal(client.serverVerification(one, nil), server.serverVerification(one, nil)); equal != right {
					t.Errorf("VK_s is equal: %v", equal)
				}
				// These are the lengths of RFC 8121 appendix B.
				kc1 := a.octets(client.kc1)
				if got := [3]int{len(kc1), len(a.parameter(kc1)), len(a.parameter(vkc))}; got != lengths[a.token] {
					t.Errorf("the lengths are %v", got)
				}
			}
			for _, bad := range []*big.Int{zero, one, a.group.invalidNumber(), a.group.outOfRangeNumber()} {
				if _, err := a.parseElement(a.parameter(a.octets(bad))); err == nil && (a.base64 || bad.BitLen() > 1) {
					t.Errorf("%x was accepted", bad)
				}
			}
			short := a.octets(client1(t, a))[1:]
			if _, err := a.parseElement(a.parameter(short)); err == nil {
				t.Error("a number of another than the natural length was accepted")
			}
		})
	}
}

// exchangeInMemory returns what both sides know after an exchange.
func exchangeInMemory(t *testing.T, a *algorithm, clientPi, serverPi *big.Int) (client, server transcript) {
	t.Helper()
	j, err := a.credential(serverPi)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := randomSecret(a.group, a.group.minimumSecret())
	if err != nil {
		t.Fatal(err)
	}
	kc1, err := a.clientValue(secret)
	if err != nil {
		t.Fatal(err)
	}
	serverRandom, err := randomSecret(a.group, one)
	if err != nil {
		t.Fatal(err)
	}
	ks1, err := a.serverValue(j, kc1, serverRandom)
	if err != nil {
		t.Fatal(err)
	}
	z, err := a.clientSecret(kc1, ks1, secret, clientPi)
	if err != nil {
		t.Fatal(err)
	}
	zServer, err := a.serverSecret(kc1, ks1, serverRandom)
	if err != nil {
		t.Fatal(err)
	}
	return transcript{a, kc1, ks1, z}, transcript{a, kc1, ks1, zServer}
}

func client1(t *testing.T, a *algorithm) *big.Int {
	t.Helper()
	kc1, err := a.clientValue(big.NewInt(5000))
	if err != nil {
		t.Fatal(err)
	}
	return kc1
}

// TestPoints checks that P' is the inverse of P for both points with the same x.
func TestPoints(t *testing.T) {
	for _, a := range algorithms[:2] {
		g := a.group.(curveGroup)
		minus := g.power(g.generator(), new(big.Int).Sub(g.order(), one))
		for _, e := range []element{g.generator(), minus} {
			n, err := g.number(e)
			if err != nil {
				t.Fatal(err)
			}
			back, err := g.parse(n)
			if err != nil || back.x.Cmp(e.x) != 0 || back.y.Cmp(e.y) != 0 {
				t.Errorf("P' is not the inverse of P: %v", err)
			}
		}
		if _, err := g.number(g.combine(g.generator(), minus)); err == nil {
			t.Error("P accepted the point at infinity")
		}
	}
}
