package main

import "testing"

// TestClientMisbehaviours checks what the server answers to a client that misbehaves.
func TestClientMisbehaviours(t *testing.T) {
	for mode, want := range map[string][]string{
		"wrong-vkc":               {notAccepted},
		"replay-nc":               {firstSuccess, laterSuccess, recovered},
		"nc-too-large":            {firstSuccess, recovered},
		"nc-below-window":         {firstSuccess, laterSuccess, recovered},
		"huge-nc":                 {"result=FATAL detail="},
		"unknown-sid":             {firstSuccess, recovered},
		"kc1-invalid":             {badParameter},
		"kc1-identity-like":       {badParameter},
		"other-realm":             {badParameter},
		"upper-case-hex":          {firstSuccess, laterSuccess},
		"quoted-everything":       {firstSuccess, laterSuccess},
		"unquoted-where-possible": {firstSuccess, laterSuccess},
	} {
		for _, token := range []string{p256, "iso-kam3-dl-2048-sha256"} {
			t.Run(mode+"/"+token, func(t *testing.T) {
				p := startPeers(t, token, []string{validateEndPoint}, true, false, "")
				p.expect(p.client("/", mode), want...)
			})
		}
	}
}

// TestServerMisbehaviours checks what the client makes of a server that misbehaves.
func TestServerMisbehaviours(t *testing.T) {
	for mode, want := range map[string]string{
		"skip-vks":                "result=FATAL detail=",
		"wrong-vks":               "result=FATAL detail=the value of vks is wrong",
		"early-vks":               "result=FATAL detail=the response with the status 200 is not allowed here",
		"plain-200":               "result=FATAL detail=the response with the status 200 is not allowed here",
		"ks1-identity-or-invalid": "result=FATAL detail=" + errInvalidElement.Error(),
		"stale-always":            "result=FATAL detail=the response with the status 401 is not allowed here",
		"kex-twice":               "result=FATAL detail=the response with the status 401 is not allowed here",
		"scheme-in-info":          "result=FATAL detail=Authentication-Info: ",
	} {
		for _, token := range []string{p256, "iso-kam3-dl-2048-sha256"} {
			t.Run(mode+"/"+token, func(t *testing.T) {
				p := startPeers(t, token, []string{validateEndPoint}, true, false, mode)
				p.expect(p.client("/", ""), want)
			})
		}
	}
}

// TestMisbehavingLater checks a server that starts to misbehave when there is a session.
func TestMisbehavingLater(t *testing.T) {
	for mode, want := range map[string]string{
		// A normal response to the first request of a sequence is allowed, but it does not authenticate the server.
		"plain-200":    "status=200 result=UNAUTHENTICATED exchanges=1 reason=none\n",
		"wrong-vks":    "result=FATAL detail=",
		"kex-twice":    "result=FATAL detail=",
		"stale-always": "result=FATAL detail=",
	} {
		p := startPeers(t, p256, []string{validateEndPoint}, true, false, "")
		c := p.client("/", "")
		p.expect(c, firstSuccess)
		p.server.mutex.Lock()
		p.server.misbehave = mode
		p.server.mutex.Unlock()
		p.expect(c, want)
	}
}

// TestMalformedCredentials checks what the server makes of headers that it has to refuse.
func TestMalformedCredentials(t *testing.T) {
	p := startPeers(t, p256, []string{validateHost}, false, false, "")
	l := link{origin: p.server.origin}
	common := `Mutual version=1, algorithm=` + p256 + `, validation=host, auth-scope="` + p.server.realm.scope + `", realm="a \"realm\"", `
	for header, want := range map[string]string{
		`Basic YWJj`:                                  "normal 401-INIT initial",
		`Mutual`:                                      "invalid 401-INIT invalid-parameters",
		`Mutual version=2`:                            "invalid 401-INIT invalid-parameters",
		common + `sid=00, nc=0, vkc=00`:               "vfy-c 401-STALE stale-session",
		common + `sid=00, nc=00, vkc=00`:              "invalid 401-INIT invalid-parameters",
		common + `sid=0, nc=0, vkc=00`:                "invalid 401-INIT invalid-parameters",
		common + `sid=00, nc=0, vkc=00, kc1=00`:       "invalid 401-INIT invalid-parameters",
		common + `sid=00, nc=0, vkc=00, ks7=00`:       "invalid 401-INIT invalid-parameters",
		common + `sid=00, nc=0, vkc=00, unknown=x`:    "vfy-c 401-STALE stale-session",
		common + `sid=00, nc=0, vkc=00, nc=1`:         "invalid 401-INIT invalid-parameters",
		common + `user=x, user*=UTF-8''x, kc1=00`:     "invalid 401-INIT invalid-parameters",
		common + `user*=UTF-8''%FF, kc1=00`:           "invalid 401-INIT invalid-parameters",
		common + `user=x, kc1=00`:                     "kex-c1 401-INIT invalid-parameters",
		common + `kc1=00`:                             "invalid 401-INIT invalid-parameters",
		common + `sid=00, nc=0, vkc=00, realm*=a''b`:  "invalid 401-INIT invalid-parameters",
		common + `sid=00, nc=0, vkc="00`:              "invalid 401-INIT invalid-parameters",
		common + `sid=00, nc=0, vkc=00, Basic YWJj==`: "invalid 401-INIT invalid-parameters",
	} {
		d := p.server.decide("/", []string{header}, l)
		if got := d.kind + " " + d.answer + " " + d.reason; got != want {
			t.Errorf("%s: %s instead of %s", header, got, want)
		}
	}
}
