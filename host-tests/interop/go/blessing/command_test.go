package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runCommand executes a sub-command and decodes what it prints.
func runCommand(t *testing.T, input string, target any, arguments ...string) int {
	t.Helper()
	var output bytes.Buffer
	code, err := run(arguments, strings.NewReader(input), &output)
	if err != nil && target != nil {
		t.Fatalf("%v: %v", arguments, err)
	}
	if target != nil {
		noError(t, json.Unmarshal(output.Bytes(), target))
	}
	return code
}

// secretOf returns a private key in hex for tests.
func secretOf(number int) string {
	return fmt.Sprintf("%064x", number)
}

// recipeOf makes a recipe for idp, which blesses a key of its own kind.
func recipeOf(extension string, number int, caveats string) string {
	return fmt.Sprintf(`{"keys": {"idp": {"kind": "p256", "private": %q}, "leaf": {"kind": "p256", "private": %q}},
		"chains": [[{"extension": "idp", "key": "idp"}, {"extension": %q, "key": "leaf", "caveats": [%s]}]]}`, secretOf(1), secretOf(number), extension, caveats)
}

func TestMakeAndShow(t *testing.T) {
	caveats := `{"kind": "expiry", "unix": 4102444800, "nanos": 5}, {"kind": "not_before", "unix": 0}, {"kind": "method", "methods": ["Get"]},
		{"kind": "peers", "patterns": ["idp"]}, {"kind": "const", "value": true}, {"kind": "raw", "id": "00112233445566778899aabbccddeeff", "param_vom": "8106"}`
	var made madeBlessings
	runCommand(t, recipeOf("u:mara", 2, caveats), &made, "make")
	var shown shownBlessings
	runCommand(t, made.VOM+"\n", &shown, "show")
	if shown.Error != nil || shown.UniqueID != made.UniqueID || strings.Join(shown.Names, ",") != "idp:u:mara" || len(shown.Chains) != 1 {
		t.Fatalf("%+v", shown)
	}
	leaf := shown.Chains[0][1]
	texts := []string{"2100-01-01T00:00:00.000000005Z", "1970-01-01T00:00:00Z", "[Get]", "[idp]", "true", "malformed: the input ends too early"}
	for i, want := range texts {
		if leaf.Caveats[i].Param != want {
			t.Errorf("caveat %d is %q", i, leaf.Caveats[i].Param)
		}
	}
	if !leaf.SignatureValid || leaf.PublicKey != shown.PublicKey {
		t.Errorf("%+v", leaf)
	}

	// One bit of the signature makes it invalid. The signature of the root stays valid. Three octets end the structs.
	damaged := unhex(t, made.VOM)
	damaged[len(damaged)-4] ^= 1
	runCommand(t, hexOf(damaged), &shown, "show")
	if shown.Error == nil || shown.Chains[0][1].SignatureValid || !shown.Chains[0][0].SignatureValid {
		t.Errorf("%+v", shown)
	}
	runCommand(t, "8000", &shown, "show")
	if shown.Error == nil {
		t.Error("a stream of another version is shown")
	}
}

func TestMakeRefuses(t *testing.T) {
	for _, bad := range []string{
		recipeOf("a::b", 2, ""), recipeOf("", 2, ""), recipeOf("a", 2, `{"kind": "magic"}`), recipeOf("a", 2, `{"kind": "raw", "id": "00"}`), "{}",
		`{"keys": {"a": {"kind": "rsa", "private": "00"}}}`, `{"chains": [[{"key": "a"}]]}`, `{"unknown": 1}`,
	} {
		if code := runCommand(t, bad, nil, "make"); code == 0 {
			t.Errorf("made of %s", bad)
		}
	}
	var made madeBlessings
	unchecked := strings.Replace(recipeOf("a::b", 2, ""), "{", `{"unchecked": true, `, 1)
	runCommand(t, unchecked, &made, "make")
	if made.Names[0] != "idp:a::b" {
		t.Errorf("names %q", made.Names)
	}
	runCommand(t, `{"keys": {"a": {"kind": "ed25519", "private": "`+secretOf(5)+`"}}, "chains": [[{"key": "a"}]]}`, &made, "make")
	if len(made.Names) != 0 || len(made.VOM) != 2*436 {
		t.Errorf("nameless: %+v", made)
	}
}

func TestDialAndAccept(t *testing.T) {
	var door, mara madeBlessings
	runCommand(t, recipeOf("door:7", 2, ""), &door, "make")
	runCommand(t, recipeOf("u:mara", 3, ""), &mara, "make")
	idp, err := parseKeyFlag("p256:" + secretOf(1))
	noError(t, err)
	rootsFile := filepath.Join(t.TempDir(), "roots.json")
	noError(t, os.WriteFile(rootsFile, fmt.Appendf(nil, `[{"public_key": "%x", "patterns": ["idp"]}]`, idp.der), 0o600))

	reading, writing := io.Pipe()
	finished := make(chan error, 1)
	go func() {
		_, err := run([]string{"accept", "-key", "p256:" + secretOf(2), "-blessings", door.VOM, "-roots", rootsFile, "-allow", "idp:dev,idp:u", "-count", "3"}, nil, writing)
		finished <- err
		writing.Close()
	}()
	lines := bufio.NewScanner(reading)
	lines.Scan()
	address, found := strings.CutPrefix(lines.Text(), "listening ")
	if !found {
		t.Fatal(lines.Text())
	}
	dial := func(arguments ...string) (*dialOutcome, int, *acceptOutcome) {
		var dialed dialOutcome
		all := append([]string{"dial", "-addr", address, "-key", "p256:" + secretOf(3), "-roots", rootsFile}, arguments...)
		code := runCommand(t, "", &dialed, all...)
		var accepted acceptOutcome
		lines.Scan()
		noError(t, json.Unmarshal(lines.Bytes(), &accepted))
		return &dialed, code, &accepted
	}
	if d, code, a := dial("-blessings", mara.VOM, "-expect", "idp:door", "-send", "open"); code != exitAnswered || says(d.Answer) != "ok:open" || says(a.Payload) != "open" {
		t.Errorf("code %d, %+v, %+v", code, d, a)
	}
	if d, code, a := dial("-blessings", mara.VOM, "-expect", "idp:gate"); code != exitRefusedAcceptor || says(d.RefusedBy) != "dialer" || a.HandshakeAccepted {
		t.Errorf("code %d, %+v, %+v", code, d, a)
	}
	if d, code, a := dial("-expect", "idp:door", "-as-server"); code != exitAcceptorRefused || says(d.RefusedBy) != "acceptor" || !a.HandshakeAccepted || a.Answered != 0 {
		t.Errorf("code %d, %+v, %+v", code, d, a)
	}
	noError(t, <-finished)
	if code := runCommand(t, "", nil, "dial", "-addr", address, "-key", "p256:"+secretOf(3)); code != exitFailed {
		t.Errorf("code %d without an acceptor", code)
	}
	if code := runCommand(t, "", nil, "accept", "-key", "p256:"+secretOf(3), "-blessings", mara.VOM[:20]); code == 0 {
		t.Error("the acceptor takes cut blessings")
	}
	if code := runCommand(t, "", nil, "accept", "-key", "p256:"+secretOf(2), "-blessings", mara.VOM); code == 0 {
		t.Error("the acceptor takes the blessings of another key")
	}
}

func TestUsage(t *testing.T) {
	var output bytes.Buffer
	if code, _ := run(nil, nil, &output); code != 2 {
		t.Errorf("code %d", code)
	}
	if code, err := run([]string{"misbehaviours"}, nil, &output); code != 0 || err != nil || bytes.Count(output.Bytes(), []byte("\n")) != len(misbehaviours) {
		t.Errorf("misbehaviours: %s", output.Bytes())
	}
}
