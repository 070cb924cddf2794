package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// pair is a dialer and an acceptor that trust one authority.
type pair struct {
	dialer, acceptor *end
	authority        *privateKey
	root             blessings
	allow, expect    []string
	method           string
	asServer         bool
	payload          []byte
}

// newPair makes ends with keys of the kind and the names idp:u:mara and idp:door:7.
func newPair(t *testing.T, kind string) *pair {
	t.Helper()
	authority := testKey(t, "p256", 1)
	root, err := selfSigned(authority, "idp", nil)
	noError(t, err)
	p := &pair{authority: authority, root: root, allow: []string{"idp:u"}, expect: []string{"idp:door"}, payload: []byte("hello")}
	p.dialer = p.end(t, testKey(t, kind, 2), "u:mara")
	p.acceptor = p.end(t, testKey(t, kind, 3), "door:7")
	return p
}

// testKey makes a key from a small number.
func testKey(t *testing.T, kind string, number byte) *privateKey {
	t.Helper()
	secret := append(make([]byte, 31), number)
	key, err := parsePrivateKey(kind, secret)
	noError(t, err)
	return key
}

func (p *pair) end(t *testing.T, key *privateKey, extension string, caveats ...caveat) *end {
	t.Helper()
	b, err := p.root.bless(p.authority, key.publicKey, extension, caveats)
	noError(t, err)
	known := roots{}
	noError(t, known.add(p.authority.der, "idp"))
	return &end{self: &identity{key: key, blessings: b, roots: known}, minVersion: 14, maxVersion: 14, timeout: 2 * time.Second}
}

// run connects the two ends.
func (p *pair) run(t *testing.T) (*dialOutcome, int, *acceptOutcome) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	defer listener.Close()
	accepted := make(chan *acceptOutcome, 1)
	go func() {
		socket, err := listener.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- p.acceptor.accept(socket, p.allow, p.method)
	}()
	socket, err := net.Dial("tcp", listener.Addr().String())
	noError(t, err)
	outcome, code := p.dialer.dial(socket, p.expect, p.payload, p.asServer)
	return outcome, code, <-accepted
}

// says renders an optional text.
func says(text *string) string {
	if text == nil {
		return "-"
	}
	return *text
}

func (p *pair) mustRun(t *testing.T, wanted int) (*dialOutcome, *acceptOutcome) {
	t.Helper()
	dialed, code, accepted := p.run(t)
	if code != wanted {
		t.Fatalf("code %d, dialer: %s, acceptor: %s, torn down: %s", code, says(dialed.Error), says(accepted.Error), says(accepted.TornDown))
	}
	if wanted == exitAnswered && (accepted.Answered != 1 || *accepted.Payload != string(p.payload) || *dialed.Answer != "ok:"+string(p.payload)) {
		t.Errorf("payload %q, answer %q", says(accepted.Payload), says(dialed.Answer))
	}
	return dialed, accepted
}

func TestPeersAgree(t *testing.T) {
	for _, kind := range []string{"ed25519", "p256", "p384", "p521"} {
		for version := uint64(firstVersion); version <= lastVersion; version++ {
			p := newPair(t, kind)
			p.dialer.minVersion, p.dialer.maxVersion = version, version
			p.acceptor.minVersion = 11
			p.asServer = version%2 == 0
			dialed, accepted := p.mustRun(t, exitAnswered)
			if dialed.Version != version || accepted.Version != version || !slices.Equal(dialed.Names, []string{"idp:door:7"}) || !slices.Equal(accepted.Names, []string{"idp:u:mara"}) {
				t.Errorf("%s: versions %d and %d, names %q and %q", kind, dialed.Version, accepted.Version, dialed.Names, accepted.Names)
			}
			if (len(accepted.HandshakeNames) == 1) != p.asServer {
				t.Errorf("names in the handshake: %q", accepted.HandshakeNames)
			}
		}
	}
}

func TestLongPayload(t *testing.T) {
	for _, length := range []int{defaultMTU, 2 * defaultMTU, 3<<20 + 5} {
		p := newPair(t, "ed25519")
		p.payload = bytes.Repeat([]byte("x"), length)
		p.mustRun(t, exitAnswered)
	}
}

func TestNoVersionInCommon(t *testing.T) {
	p := newPair(t, "p256")
	p.dialer.minVersion, p.dialer.maxVersion = 11, 13
	_, accepted := p.mustRun(t, exitRefusedAcceptor)
	if accepted.HandshakeAccepted {
		t.Error("the handshake is accepted")
	}
}

func TestDialerRefuses(t *testing.T) {
	changes := map[string]func(*pair){
		"name":  func(p *pair) { p.expect = []string{"idp:dev"} },
		"exact": func(p *pair) { p.expect = []string{"idp:door:$", "$", "idp:door:"} },
		"root":  func(p *pair) { p.dialer.self.roots = roots{} },
		"nameless": func(p *pair) {
			p.acceptor.self.blessings = nil
		},
		"expired": func(p *pair) {
			p.acceptor.self.blessings = p.end(t, p.acceptor.self.key, "door:7", caveat{idExpiry, timeParam(time.Now().Add(-time.Minute))}).self.blessings
		},
		"peer": func(p *pair) {
			p.acceptor.self.blessings = p.end(t, p.acceptor.self.key, "door:7", caveat{idPeers, peersParam([]string{"idp:u:other"})}).self.blessings
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, "p256")
			change(p)
			_, accepted := p.mustRun(t, exitRefusedAcceptor)
			// The dialer's key and names stay unknown, and the acceptor is told.
			if accepted.HandshakeAccepted || accepted.PublicKey != "" || !strings.Contains(says(accepted.TornDown), "not expected") {
				t.Errorf("acceptor: %+v", accepted)
			}
		})
	}
}

func TestAcceptorRefuses(t *testing.T) {
	bless := func(p *pair, caveats ...caveat) {
		p.dialer.self.blessings = p.end(t, p.dialer.self.key, "u:mara", caveats...).self.blessings
	}
	changes := map[string]func(*pair){
		"name":     func(p *pair) { p.allow = []string{"idp:dev"} },
		"root":     func(p *pair) { p.acceptor.self.roots = roots{} },
		"nameless": func(p *pair) { p.dialer.self.blessings = nil },
		"method":   func(p *pair) { p.method = "Get"; bless(p, caveat{idMethod, methodParam([]string{"Put"})}) },
		"early":    func(p *pair) { bless(p, caveat{idNotBefore, timeParam(time.Now().Add(time.Hour))}) },
		"const":    func(p *pair) { bless(p, caveat{idConst, constParam(false)}) },
		"third": func(p *pair) {
			bless(p, caveat{idThirdParty, encodeSingle(thirdPartyValue(&thirdParty{dischargerKey: p.authority.der}))})
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, "p384")
			change(p)
			_, accepted := p.mustRun(t, exitAcceptorRefused)
			if !accepted.HandshakeAccepted || accepted.Answered != 0 || len(accepted.Names) > 0 && name != "name" {
				t.Errorf("acceptor: %+v", accepted)
			}
		})
	}
}

// thirdPartyValue makes the parameter of a third-party caveat.
func thirdPartyValue(p *thirdParty) value {
	requirements := structValue(typeRequirements, value{typ: typeBool}, value{typ: typeBool}, value{typ: typeBool})
	return structValue(typeThirdPartyParam, value{typ: typeNonce, octets: p.nonce[:]}, listValue(typeCaveats, p.caveats, caveatValue),
		octetsValue(p.dischargerKey), stringValue(p.location), requirements)
}

func TestCaveatsThatHold(t *testing.T) {
	p := newPair(t, "ed25519")
	discharger := testKey(t, "p384", 9)
	third := &thirdParty{nonce: [16]byte{7}, dischargerKey: discharger.der, location: "here", caveats: []caveat{{idConst, constParam(false)}}}
	param := encodeSingle(thirdPartyValue(third))
	p.dialer.self.blessings = p.end(t, p.dialer.self.key, "u:mara",
		caveat{idThirdParty, param}, caveat{idMethod, methodParam([]string{"Get", "Put"})}, caveat{idPeers, peersParam([]string{"idp:door"})},
		caveat{idExpiry, timeParam(time.Now().Add(time.Hour))}, caveat{idNotBefore, timeParam(time.Now().Add(-time.Hour))}).self.blessings
	p.method = "Put"
	p.mustRun(t, exitAcceptorRefused)

	id, err := third.dischargeID()
	noError(t, err)
	d := discharge{caveatID: id, caveats: []caveat{{idExpiry, timeParam(time.Now().Add(time.Minute))}}}
	d.signature.hash = discharger.hash()
	d.signature, err = discharger.sign(d.message(), purposeDischarge)
	noError(t, err)
	p.dialer.self.discharges = []discharge{d}
	for _, p.asServer = range []bool{false, true} {
		p.mustRun(t, exitAnswered)
	}
}

// TestLaxPeers sees that strict misbehaviours are taken by an end that is as lax as upstream, so that nothing else is wrong with them.
func TestLaxPeers(t *testing.T) {
	for _, m := range misbehaviours {
		for _, role := range []string{"dialer", "acceptor"} {
			if m.Verdict != "strict" || m.Ends != "both" && m.Ends != role {
				continue
			}
			for _, kind := range []string{"p256", "p384", "ed25519"} {
				t.Run(m.Name+"/"+role+"/"+kind, func(t *testing.T) {
					p, code := newPair(t, kind), exitAnswered
					bad, good := p.dialer, p.acceptor
					if role == "acceptor" {
						bad, good = good, bad
					}
					bad.misdeed, good.lax = m.Name, true
					if m.Name == "leading-zero" && kind == "ed25519" {
						code = map[string]int{"dialer": exitAcceptorRefused, "acceptor": exitRefusedAcceptor}[role]
					}
					p.mustRun(t, code)
				})
			}
		}
	}
}

func TestMisbehaviours(t *testing.T) {
	for _, m := range misbehaviours {
		for _, role := range []string{"dialer", "acceptor"} {
			if m.Ends != "both" && m.Ends != role {
				continue
			}
			noError(t, checkMisbehaviour(m.Name, role))
			for _, kind := range []string{"p256", "ed25519"} {
				t.Run(m.Name+"/"+role+"/"+kind, func(t *testing.T) { misbehave(t, m, role, kind) })
			}
		}
	}
	if checkMisbehaviour("politeness", "dialer") == nil || checkMisbehaviour("odd-flow-id", "acceptor") == nil {
		t.Error("an unknown misbehaviour is taken")
	}
}

func misbehave(t *testing.T, m misbehaviour, role, kind string) {
	p := newPair(t, kind)
	bad, code := p.dialer, exitAcceptorRefused
	if role == "acceptor" {
		bad, code = p.acceptor, exitRefusedAcceptor
	}
	bad.misdeed = m.Name
	if m.Name == "downgrade" {
		// The dialer sees no common version before the acceptor says so.
		bad.minVersion, bad.maxVersion, code = 11, 13, exitRefusedAcceptor
	}
	other, err := p.root.bless(p.authority, testKey(t, kind, 8).publicKey, map[string]string{"dialer": "u:mara", "acceptor": "door:7"}[role], nil)
	noError(t, err)
	bad.other = other
	if m.Verdict == "harmless" && (m.Name != "high-s" || kind == "p256") {
		code = exitAnswered
	}
	_, accepted := p.mustRun(t, code)
	afterwards := strings.Contains(m.Name, "flow-") || m.Name == "refresh-other-blessings" || m.Name == "clear-payload" || m.Name == "reserved-flow-id" || m.Name == "odd-flow-id"
	if code == exitAcceptorRefused && (accepted.HandshakeAccepted != (afterwards && m.Name != "flow-before-auth") || accepted.Error == nil) {
		t.Errorf("acceptor: %+v", accepted)
	}
	if accepted.Error != nil {
		t.Logf("acceptor: %s", *accepted.Error)
	} else {
		t.Logf("torn down: %s", says(accepted.TornDown))
	}
}

// TestSealedLikeTearDown opens damaged frames of which one begins like a TearDown in clear.
func TestSealedLikeTearDown(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := &channel{socket: near, box: &box{}}
	for _, body := range []string{"\x7d\xff\xfe damaged", "\x7d why"} {
		go far.Write(frame([]byte(body)))
		_, err := c.readPlain()
		torn := new(tornDown)
		if isTorn := errors.As(err, &torn); isTorn != (body == "\x7d why") {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestSetupBehindPeersBack(t *testing.T) {
	// What an attacker on the path changes in one Setup makes the bindings differ.
	s := &setup{min: 14, max: 14, naclKey: bytes.Repeat([]byte{5}, 32), mtu: 65536, sharedTokens: 1 << 20}
	octets := s.encode()
	octets[len(octets)-1]++
	changed, err := parseSetup(octets)
	noError(t, err)
	if bytes.Equal(bindingOf(14, s, s, s.encode(), nil), bindingOf(14, changed, s, changed.encode(), nil)) {
		t.Error("the bindings are the same")
	}
	if _, err := parseSetup(append(s.encode(), s.encode()[3:]...)); err == nil {
		t.Error("options may occur twice")
	}
	if _, err := hex.DecodeString(endpoint("a", nullRoutingID, []string{"x@y", "z"})); err == nil || !strings.HasSuffix(endpoint("a", nullRoutingID, []string{"x@y", "z"}), "@s@z@@") {
		t.Error("an endpoint has a name that breaks it")
	}
}
