package main

import "slices"

// serverMisbehaviours are the values of -misbehave for the server.
var serverMisbehaviours = []string{
	"", "skip-vks", "wrong-vks", "early-vks", "plain-200", "ks1-identity-or-invalid", "stale-always", "kex-twice", "scheme-in-info", "offer-unavailable",
}

func isServerMisbehaviour(mode string) bool { return slices.Contains(serverMisbehaviours, mode) }

// misbehaveOnVerify returns a wrong answer to a req-VFY-C message if the mode asks for one.
func (s *mutualServer) misbehaveOnVerify(m *message, session *serverSession) (decision, bool) {
	switch s.misbehave {
	case "stale-always":
		return s.stale(m), true
	case "plain-200":
		return decision{answer: "200-NORMAL", reason: "misbehave", status: 200, body: "hello " + s.user + "\n"}, true
	case "kex-twice":
		if session != nil {
			return s.exchangeAnswer(m.sid, session), true
		}
	}
	return decision{}, false
}

// earlyVerification answers a req-KEX-C1 message as if the client had been authenticated.
func (s *mutualServer) earlyVerification() decision {
	return s.verificationAnswer(randomOctets(16), randomOctets(s.algorithm.hashLength()), s.user)
}
