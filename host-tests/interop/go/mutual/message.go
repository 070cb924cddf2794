package main

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
)

// messageKind tells the messages of RFC 8120 section 4 apart; 401-INIT and 401-STALE differ in their reason only.
type messageKind int

const (
	kindNone messageKind = iota
	kindInit
	kindStale
	kindClientExchange
	kindServerExchange
	kindClientVerification
)

// message is a challenge or a set of credentials whose common parameters have been checked.
type message struct {
	kind       messageKind
	realm      realmKey
	scopeSent  bool
	validation string
	reason     string
	user       string
	// exchange is kc1 or ks1, and verification is vkc, as received.
	exchange, verification string
	sid                    []byte
	nc                     *big.Int
	ncMax, ncWindow, time  *big.Int
}

var (
	clientExchangeName = regexp.MustCompile(`^kc[0-9]+$`)
	serverExchangeName = regexp.MustCompile(`^ks[0-9]+$`)
)

// reader takes parameters out of a challenge and remembers the first error.
type reader struct {
	parameters parameters
	err        error
}

func (r *reader) fail(name string, err error) {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s: %w", name, err)
	}
}

// text returns a parameter as a string; a mandatory one must be present.
func (r *reader) text(name string, mandatory bool) (string, bool) {
	p, present := r.parameters[name]
	if !present {
		if mandatory {
			r.fail(name, errors.New("the parameter is missing"))
		}
		return "", false
	}
	if !p.extended {
		return p.value, true
	}
	value, err := decodeExtendedValue(p.value)
	r.fail(name, err)
	return value, true
}

func (r *reader) token(name string) string {
	value, _ := r.text(name, true)
	token, err := parseExtensiveToken(value)
	r.fail(name, err)
	return token
}

func (r *reader) integer(name string) *big.Int {
	value, _ := r.text(name, true)
	n, err := parseInteger(value)
	r.fail(name, err)
	return n
}

func (r *reader) hex(name string) []byte {
	value, _ := r.text(name, true)
	decoded, err := parseHexFixedNumber(value)
	r.fail(name, err)
	return decoded
}

// version checks that the version is 1.
func (r *reader) version() {
	if v := r.token("version"); r.err == nil && v != "1" {
		r.fail("version", fmt.Errorf("the version %q is not supported", v))
	}
}

// parseChallengeMessage checks a Mutual challenge of a response. defaultScope is used if the challenge has no auth-scope.
func parseChallengeMessage(c challenge, defaultScope string) (*message, error) {
	m, r, err := parseCommon(c, defaultScope)
	if err != nil {
		return nil, err
	}
	exclusive := r.count(serverExchangeName)
	_, reason := r.parameters["reason"]
	_, verification := r.parameters["vks"]
	_, foreign := r.parameters["vkc"]
	if reason {
		exclusive++
	}
	if verification {
		exclusive++
	}
	if exclusive > 1 || foreign || r.count(clientExchangeName) > 0 {
		return nil, errors.New("the challenge contains parameters that exclude each other or belong to requests")
	}
	if reason {
		m.reason = r.token("reason")
		m.kind = kindInit
		if m.reason == "stale-session" {
			m.kind = kindStale
		}
		return m, r.err
	}
	m.kind = kindServerExchange
	m.exchange, _ = r.text("ks1", true)
	m.sid = r.hex("sid")
	m.ncMax = r.integer("nc-max")
	m.ncWindow = r.integer("nc-window")
	m.time = r.integer("time")
	return m, r.err
}

// parseCredentialsMessage checks the Mutual credentials of a request.
func parseCredentialsMessage(c challenge) (*message, error) {
	m, r, err := parseCommon(c, "")
	if err != nil {
		return nil, err
	}
	exclusive := r.count(clientExchangeName)
	_, exchange := r.parameters["kc1"]
	_, verification := r.parameters["vkc"]
	_, foreign := r.parameters["vks"]
	if verification {
		exclusive++
	}
	if exclusive > 1 || foreign || r.count(serverExchangeName) > 0 {
		return nil, errors.New("the credentials contain parameters that exclude each other or belong to responses")
	}
	switch {
	case exchange:
		m.kind = kindClientExchange
		m.exchange, _ = r.text("kc1", true)
		m.user, _ = r.text("user", true)
		r.fail("user", checkString(m.user))
	case verification:
		m.kind = kindClientVerification
		m.sid = r.hex("sid")
		m.nc = r.integer("nc")
		m.verification, _ = r.text("vkc", true)
	default:
		return nil, errors.New("the credentials contain neither kc1 nor vkc")
	}
	return m, r.err
}

// parseCommon checks what challenges and credentials have in common.
func parseCommon(c challenge, defaultScope string) (*message, *reader, error) {
	if c.err != nil {
		return nil, nil, c.err
	}
	if c.parameters["realm"].extended {
		return nil, nil, errors.New("the realm must not use the extended syntax")
	}
	r := &reader{parameters: c.parameters}
	m := &message{}
	r.version()
	m.realm.algorithm = r.token("algorithm")
	m.validation = r.token("validation")
	m.realm.realm, _ = r.text("realm", true)
	if m.realm.scope, m.scopeSent = r.text("auth-scope", false); !m.scopeSent {
		m.realm.scope = defaultScope
	}
	return m, r, r.err
}

// count returns how many parameters have a name of a pattern.
func (r *reader) count(pattern *regexp.Regexp) int {
	n := 0
	for name := range r.parameters {
		if pattern.MatchString(name) {
			n++
		}
	}
	return n
}

// verificationInfo is the content of the Authentication-Info header of a 200-VFY-S message.
type verificationInfo struct {
	sid []byte
	vks string
}

// parseInfo checks an Authentication-Info header; it returns nil without an error if the header has no vks.
func parseInfo(lines []string) (*verificationInfo, error) {
	list, err := parseParameterList(lines)
	if err != nil {
		return nil, err
	}
	if _, present := list["vks"]; !present {
		return nil, nil
	}
	r := &reader{parameters: list}
	r.version()
	info := &verificationInfo{sid: r.hex("sid")}
	info.vks, _ = r.text("vks", true)
	_, reason := list["reason"]
	_, foreign := list["vkc"]
	if reason || foreign || r.count(serverExchangeName)+r.count(clientExchangeName) > 0 {
		r.fail("vks", errors.New("the header contains parameters of other messages"))
	}
	return info, r.err
}
