package main

import (
	"math/big"
	"net/http"
	"strings"
	"testing"
)

const p256 = "iso-kam3-ec-p256-sha256"

const (
	firstSuccess = "status=200 result=AUTH-SUCCEED exchanges=3 reason=initial\nhello " + testUser + "\n"
	laterSuccess = "status=200 result=AUTH-SUCCEED exchanges=1 reason=none\nhello " + testUser + "\n"
	notAccepted  = "status=401 result=AUTH-REQUIRED exchanges=3 reason=auth-failed\n"
	recovered    = "status=200 result=AUTH-SUCCEED exchanges=3 reason=stale-session\n"
	badParameter = "status=401 result=AUTH-REQUIRED exchanges=2 reason=invalid-parameters\n"
)

// TestAlgorithmsOverTLS uses each algorithm once.
func TestAlgorithmsOverTLS(t *testing.T) {
	for _, a := range algorithms {
		t.Run(a.token, func(t *testing.T) {
			p := startPeers(t, a.token, []string{validateEndPoint}, true, false, "")
			p.expect(p.client("/x", ""), firstSuccess, laterSuccess)
		})
	}
}

// TestValidations uses each validation method, keeps the session over connections, and checks what is not available.
func TestValidations(t *testing.T) {
	for _, c := range []struct {
		method        string
		secure, tls12 bool
		want          string
	}{
		{validateHost, false, false, firstSuccess},
		{validateHost, true, false, firstSuccess},
		{validateEndPoint, true, false, firstSuccess},
		{validateEndPoint, true, true, firstSuccess},
		{validateUnique, true, true, firstSuccess},
		{validateExporter, true, false, firstSuccess},
		{validateExporter, true, true, firstSuccess},
		{validateUnique, true, false, "status=401 result=AUTH-REQUIRED exchanges=1 reason=initial\n"},
		{validateEndPoint, false, false, "status=401 result=AUTH-REQUIRED exchanges=1 reason=initial\n"},
		{"-unknown.example", true, false, "status=401 result=AUTH-REQUIRED exchanges=1 reason=initial\n"},
	} {
		t.Run(strings.ReplaceAll(c.method, ".", "_"), func(t *testing.T) {
			p := startPeers(t, p256, []string{c.method}, c.secure, c.tls12, "offer-unavailable")
			client := p.client("/", "", c.method)
			p.expect(client, c.want)
			if c.want == firstSuccess {
				client.http.close()
				p.expect(client, laterSuccess)
			}
		})
	}
}

// TestPreference checks which of several challenges the client takes.
func TestPreference(t *testing.T) {
	p := startPeers(t, p256, []string{validateHost, validateEndPoint, validateUnique, validateExporter}, true, false, "")
	for want, preferences := range map[string][]string{
		validateExporter: {validateUnique, validateExporter, validateHost}, validateEndPoint: {validateEndPoint, validateExporter}, validateHost: {validateHost},
	} {
		c := p.client("/", "", preferences...)
		p.expect(c, firstSuccess)
		if c.offer.validation != want {
			t.Errorf("%v instead of %v", c.offer.validation, want)
		}
	}
}

// TestRelayedVerification checks that another connection's vh is refused.
func TestRelayedVerification(t *testing.T) {
	p := startPeers(t, p256, []string{validateExporter}, true, false, "")
	c := p.client("/", "")
	p.expect(c, firstSuccess)
	old := c.http.link
	c.http.close()
	if _, err := c.http.connect(); err != nil {
		t.Fatal(err)
	}
	c.http.link = old
	p.expect(c, "status=401 result=AUTH-REQUIRED exchanges=1 reason=auth-failed\n")
}

// TestFlows checks sequences that depend on what the client knows.
func TestFlows(t *testing.T) {
	p := startPeers(t, p256, []string{validateEndPoint}, true, false, "")
	p.expect(p.client("/public", ""), "status=200 result=UNAUTHENTICATED exchanges=1 reason=none\npublic\n")

	known := p.client("/", "", validateEndPoint)
	if err := known.know(p.server.realm.realm, p.server.realm.scope); err != nil {
		t.Fatal(err)
	}
	p.expect(known, "status=200 result=AUTH-SUCCEED exchanges=2 reason=none\n", laterSuccess)

	for _, path := range []string{"/public", "/"} {
		other := p.client(path, "", validateEndPoint)
		if err := other.know("other", p.server.realm.scope); err != nil {
			t.Fatal(err)
		}
		want := "status=401 result=AUTH-REQUIRED exchanges=1 reason=invalid-parameters\n"
		if path == "/public" {
			want = "status=200 result=UNAUTHENTICATED exchanges=1 reason=none\n"
		}
		p.expect(other, want)
	}

	wrong := p.client("/", "")
	wrong.password = "wrong"
	p.expect(wrong, notAccepted, "status=401 result=AUTH-REQUIRED exchanges=1 reason=initial\n")
	nobody := p.client("/", "")
	nobody.user = "nobody"
	p.expect(nobody, notAccepted)
	if strings.Count(p.log.String(), "answer=401-KEX-S1") != 3 {
		t.Errorf("the unknown user had no fake session: %s", p.log)
	}

	posting := p.client("/", "")
	posting.http.method, posting.http.body, posting.http.expect = http.MethodPost, "text", true
	p.expect(posting, firstSuccess)
	posting.http.expect = false
	p.expect(posting, laterSuccess)
}

// TestSessionEnds checks that the client renews sessions in time, and that the server forgets them.
func TestSessionEnds(t *testing.T) {
	p := startPeers(t, p256, []string{validateEndPoint}, true, false, "")
	p.server.ncMax = one
	renewed := "status=200 result=AUTH-SUCCEED exchanges=2 reason=none\n"
	c := p.client("/", "")
	p.expect(c, firstSuccess, laterSuccess, renewed, laterSuccess)
	p.server.mutex.Lock()
	clear(p.server.sessions)
	p.server.mutex.Unlock()
	c.session.next = new(big.Int)
	p.expect(c, recovered)
}
