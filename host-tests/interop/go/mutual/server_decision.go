package main

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"math/big"
	"slices"
	"sync"
	"time"
)

// mutualServer decides about requests (RFC 8120 section 11). It protects all below "/" except "/public".
type mutualServer struct {
	algorithm   *algorithm
	realm       realmKey
	validations []string
	origin      origin
	user        string
	// credential is J(pi) of the only user.
	credential *big.Int
	ncMax      *big.Int
	ncWindow   *big.Int
	lifetime   *big.Int
	misbehave  string

	mutex    sync.Mutex
	sessions map[string]*serverSession
}

// decision is how the server answers a request.
type decision struct {
	// kind, answer and reason are for the log.
	kind, answer, reason string
	status               int
	challenges           []string
	info                 string
	body                 string
}

const (
	reasonInitial     = "initial"
	reasonStale       = "stale-session"
	reasonFailed      = "auth-failed"
	reasonParameters  = "invalid-parameters"
	reasonServerError = "internal-error"
)

// decide answers a request with the path and the lines of the Authorization header.
func (s *mutualServer) decide(path string, authorization []string, l link) decision {
	m, err := credentialsOf(authorization)
	kind := "normal"
	switch {
	case err != nil:
		kind = "invalid"
	case m != nil && m.kind == kindClientExchange:
		kind = "kex-c1"
	case m != nil:
		kind = "vfy-c"
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var d decision
	switch {
	case path == "/public":
		d = decision{answer: "200-NORMAL", reason: "none", status: 200, body: "public\n"}
	case err != nil:
		d = s.initial(reasonParameters, l)
	case m == nil:
		d = s.initial(reasonInitial, l)
	case m.realm != s.realm || !slices.Contains(s.validations, m.validation):
		d = s.initial(reasonParameters, l)
	default:
		vh, err := validationValue(m.validation, l)
		if err != nil {
			d = s.initial(reasonParameters, l)
		} else if m.kind == kindClientExchange {
			d = s.exchange(m, l)
		} else {
			d = s.verify(m, vh, l)
		}
	}
	d.kind = kind
	return d
}

// credentialsOf returns the message in an Authorization header, or nil if there is no Mutual one.
func credentialsOf(lines []string) (*message, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	found, err := parseChallenges(lines)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 || len(lines) != 1 {
		return nil, errSyntax
	}
	if found[0].scheme != "mutual" {
		return nil, nil
	}
	return parseCredentialsMessage(found[0])
}

// exchange answers a req-KEX-C1 message.
func (s *mutualServer) exchange(m *message, l link) decision {
	a := s.algorithm
	kc1, err := a.parseElement(m.exchange)
	if err != nil {
		return s.initial(reasonParameters, l)
	}
	if s.misbehave == "early-vks" {
		return s.earlyVerification()
	}
	session := &serverSession{user: m.user, validation: m.validation, nonces: newNonceTable(s.ncMax, s.ncWindow)}
	credential := s.credential
	if m.user != s.user {
		session.fake = true
		credential, err = s.fakeCredential()
	}
	if err == nil {
		session.transcript, err = s.exchangeValues(credential, kc1)
	}
	if err != nil {
		return s.initial(reasonServerError, l)
	}
	s.discardExpired()
	session.deadline = s.deadline()
	sid := randomOctets(16)
	s.sessions[string(sid)] = session
	return s.exchangeAnswer(sid, session)
}

// fakeCredential returns J of a random pi.
// The values computed from it have the same distribution as those of a known user for whatever kc1 the client chooses.
func (s *mutualServer) fakeCredential() (*big.Int, error) {
	pi, err := randomSecret(s.algorithm.group, one)
	if err != nil {
		return nil, err
	}
	return s.algorithm.credential(pi)
}

// exchangeValues chooses S_s1 and computes K_s1 and z.
func (s *mutualServer) exchangeValues(credential, kc1 *big.Int) (transcript, error) {
	a := s.algorithm
	secret, err := randomSecret(a.group, one)
	if err != nil {
		return transcript{}, err
	}
	ks1, err := a.serverValue(credential, kc1, secret)
	if err != nil {
		return transcript{}, err
	}
	z, err := a.serverSecret(kc1, ks1, secret)
	return transcript{algorithm: a, kc1: kc1, ks1: ks1, z: z}, err
}

// verify answers a req-VFY-C message.
func (s *mutualServer) verify(m *message, vh []byte, l link) decision {
	session := s.sessions[string(m.sid)]
	if d, done := s.misbehaveOnVerify(m, session); done {
		return d
	}
	if session == nil || session.state == inactive || time.Now().After(session.deadline) {
		return s.stale(m)
	}
	if session.validation != m.validation {
		return s.initial(reasonParameters, l)
	}
	if session.state == rejected {
		return s.initial(reasonFailed, l)
	}
	if !session.nonces.acceptable(m.nc, session.state) {
		session.state = inactive
		return s.stale(m)
	}
	a := s.algorithm
	vkc, err := a.parseParameter(m.verification, a.hashLength())
	correct := err == nil && subtle.ConstantTimeCompare(vkc, session.clientVerification(m.nc, vh)) == 1
	if session.fake || !correct {
		// An authenticated session stays usable, so that somebody who has seen its sid cannot end it with a wrong vkc.
		if session.state == keyExchanging {
			session.state = rejected
		}
		return s.initial(reasonFailed, l)
	}
	session.state = authenticated
	session.nonces.record(m.nc)
	return s.verificationAnswer(m.sid, session.serverVerification(m.nc, vh), session.user)
}

// initial returns a 401-INIT answer with a challenge for each validation method that the connection allows.
func (s *mutualServer) initial(reason string, l link) decision {
	d := decision{answer: "401-INIT", reason: reason, status: 401, body: "authentication is required\n"}
	for _, method := range s.validations {
		if _, err := validationValue(method, l); err == nil || s.misbehave == "offer-unavailable" {
			d.addChallenge(s.challengeWriter(method), "reason", reason)
		}
	}
	return d.orServerError()
}

// stale returns a 401-STALE answer for the realm and the validation method of the request.
func (s *mutualServer) stale(m *message) decision {
	d := decision{answer: "401-STALE", reason: reasonStale, status: 401, body: "the session is unknown\n"}
	d.addChallenge(s.challengeWriter(m.validation), "reason", reasonStale)
	return d.orServerError()
}

// exchangeAnswer returns a 401-KEX-S1 answer.
func (s *mutualServer) exchangeAnswer(sid []byte, session *serverSession) decision {
	d := decision{answer: "401-KEX-S1", reason: "none", status: 401, body: "the key exchange is under way\n"}
	a := s.algorithm
	ks1 := session.ks1
	if s.misbehave == "ks1-identity-or-invalid" {
		if ks1 = one; !a.base64 {
			ks1 = a.group.invalidNumber()
		}
	}
	w := s.challengeWriter(session.validation)
	w.token("sid", hex.EncodeToString(sid))
	w.number(a, "ks1", a.parameter(a.octets(ks1)))
	w.token("nc-max", s.ncMax.String())
	w.token("nc-window", s.ncWindow.String())
	d.addChallenge(w, "time", s.lifetime.String())
	return d.orServerError()
}

// verificationAnswer returns a 200-VFY-S answer.
func (s *mutualServer) verificationAnswer(sid, vks []byte, user string) decision {
	d := decision{answer: "200-VFY-S", reason: "none", status: 200, body: "hello " + user + "\n"}
	w := &headerWriter{}
	w.token("version", "1")
	w.token("sid", hex.EncodeToString(sid))
	switch s.misbehave {
	case "wrong-vks":
		vks[len(vks)-1] ^= 1
		fallthrough
	default:
		w.number(s.algorithm, "vks", s.algorithm.parameter(vks))
	case "skip-vks":
	}
	d.info, _ = w.list()
	if s.misbehave == "scheme-in-info" {
		d.info, _ = w.mutual()
	}
	return d
}

// challengeWriter returns a writer with the parameters that all challenges have in common.
func (s *mutualServer) challengeWriter(method string) *headerWriter {
	w := &headerWriter{}
	w.token("version", "1")
	w.token("algorithm", s.realm.algorithm)
	w.token("validation", method)
	w.text("auth-scope", s.realm.scope)
	w.quoted("realm", s.realm.realm)
	return w
}

// addChallenge completes a challenge with a last parameter.
func (d *decision) addChallenge(w *headerWriter, name, value string) {
	w.token(name, value)
	if line, err := w.mutual(); err == nil {
		d.challenges = append(d.challenges, line)
	}
}

// orServerError replaces an answer that would lack its challenge.
func (d decision) orServerError() decision {
	if len(d.challenges) == 0 {
		return decision{answer: "500", reason: "no-validation-method-available", status: 500, body: "no validation method is available\n"}
	}
	return d
}

// discardExpired removes the sessions that have outlived their time.
func (s *mutualServer) discardExpired() {
	for sid, session := range s.sessions {
		if time.Now().After(session.deadline) {
			delete(s.sessions, sid)
		}
	}
}

// deadline returns when a session that begins now ends.
func (s *mutualServer) deadline() time.Time {
	return time.Now().Add(secondsOf(s.lifetime))
}

// secondsOf replaces durations that would overflow by a year.
func secondsOf(n *big.Int) time.Duration {
	const year = 365 * 24 * 3600
	if n.Cmp(big.NewInt(year)) > 0 {
		return year * time.Second
	}
	return time.Duration(n.Int64()) * time.Second
}

func randomOctets(n int) []byte {
	out := make([]byte, n)
	rand.Read(out)
	return out
}
