package main

import (
	"math/big"
	"testing"
)

func TestParseChallenges(t *testing.T) {
	found, err := parseChallenges([]string{
		`Basic realm="a, \"b\"", ,Mutual Version=1 , realm = "c", NC="7", user*=UTF-8''Ren%C3%A9e%20x`, `Negotiate YWJj==, Mutual`, `Mutual a=1, A*=UTF-8''x`,
	})
	if err != nil || len(found) != 5 {
		t.Fatalf("%v %v", found, err)
	}
	if found[0].parameters["realm"].value != `a, "b"` || found[1].parameters["nc"].value != "7" || found[2].err == nil || found[4].err == nil {
		t.Errorf("%+v", found)
	}
	if user, err := decodeExtendedValue(found[1].parameters["user"].value); err != nil || user != "Renée x" {
		t.Errorf("%q %v", user, err)
	}
	for _, bad := range []string{`a=b`, `Mutual a="b`, `Mutual a=b c=d`, `Mutual a=b, c=`, `Mutual kc1=a+b==, sid=00`, `=`, `Mutual a=b;`, "Mutual a=\"\x01\"", `"Mutual" a=b`} {
		if found, err := parseChallenges([]string{bad}); err == nil {
			t.Errorf("%q was parsed as %+v", bad, found)
		}
	}
	if _, err := parseParameterList([]string{`Mutual version=1, sid=00`}); err == nil {
		t.Error("a scheme was accepted in Authentication-Info")
	}
	if _, err := parseParameterList([]string{`version=1, Version="1"`}); err == nil {
		t.Error("a parameter was accepted twice")
	}
}

func TestValues(t *testing.T) {
	for _, bad := range []string{"", "-a", "-.b", "a.b", "_a", "a b", "-a."} {
		if _, err := parseExtensiveToken(bad); err == nil {
			t.Errorf("the token %q was accepted", bad)
		}
	}
	if token, err := parseExtensiveToken("-TLS-Exporter.chanbind.github.io"); err != nil || token != validateExporter {
		t.Errorf("%q %v", token, err)
	}
	for _, bad := range []string{"", "00", "01", "-1", "+1", "1.0", "0x1"} {
		if _, err := parseInteger(bad); err == nil {
			t.Errorf("the integer %q was accepted", bad)
		}
	}
	for _, bad := range []string{"", "0", "0g", "abc"} {
		if _, err := parseHexFixedNumber(bad); err == nil {
			t.Errorf("the hex-fixed-number %q was accepted", bad)
		}
	}
	for _, bad := range []string{"", "YQ", "YQ=", "YR==", "YQ===", "Y Q==", "YQ==\n", "YW-_"} {
		if _, err := parseBase64FixedNumber(bad); err == nil {
			t.Errorf("the base64-fixed-number %q was accepted", bad)
		}
	}
	for _, bad := range []string{"UTF-8''%", "UTF-8''%4", "UTF-8''%zz", "UTF-8'en'a", "ISO-8859-1''a", "UTF-8'a", "a", "UTF-8''%FF", "UTF-8''a'b"} {
		if _, err := decodeExtendedValue(bad); err == nil {
			t.Errorf("the extended value %q was accepted", bad)
		}
	}
	w := &headerWriter{}
	w.text("user", `Renee "R" of France`)
	w.text("user", "Renée of France")
	if got, _ := w.list(); got != `user="Renee \"R\" of France", user*=UTF-8''Ren%C3%A9e%20of%20France` {
		t.Error(got)
	}
}

func TestScopes(t *testing.T) {
	o := origin{"https", "www.example.com", "443"}
	for scope, want := range map[string]bool{
		"https://www.example.com": true, "https://www.example.com:443": false, "http://www.example.com": false, "www.example.com": true,
		"*.example.com": true, "*.www.example.com": true, "*.com": false, "example.com": false, "*.ple.com": false, "WWW.example.com": false, "": false,
	} {
		if o.coveredBy(scope) != want {
			t.Errorf("%q covers: %v", scope, !want)
		}
	}
	if (origin{"https", "127.0.0.1", "443"}).coveredBy("*.0.0.1") || !(origin{"http", "a", "8080"}).coveredBy("http://a:8080") {
		t.Error("the scope of an address or of another port is wrong")
	}
}

// TestNonces checks the example of RFC 8120 section 6.
func TestNonces(t *testing.T) {
	table := newNonceTable(big.NewInt(400), big.NewInt(128))
	for _, span := range [][2]int64{{1, 120}, {122, 122}, {124, 124}, {130, 238}, {255, 360}, {363, 372}} {
		for n := span[0]; n <= span[1]; n++ {
			table.record(big.NewInt(n))
		}
	}
	for n := int64(0); n < 500; n++ {
		want := n >= 245 && n <= 254 || n == 361 || n == 362 || n >= 373 && n <= 400
		if table.acceptable(big.NewInt(n), authenticated) != want {
			t.Errorf("%d is acceptable: %v", n, !want)
		}
	}
	if len(table.received) > 128 {
		t.Errorf("the table remembers %d numbers", len(table.received))
	}
	if table.acceptable(new(big.Int).Lsh(one, 80), keyExchanging) {
		t.Error("2^80 is acceptable")
	}
}
