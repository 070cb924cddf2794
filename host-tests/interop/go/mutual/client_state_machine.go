package main

import (
	"errors"
	"fmt"
	"math/big"
)

// mutualClient is the client side of the protocol for one URL and one user.
type mutualClient struct {
	http        *httpClient
	user        string
	password    string
	algorithms  []string
	validations []string
	misbehave   string

	// offer is nil until the client has found out, or was told, in which realm the URL is.
	offer *offer
	// bound is the realm for which the credentials are meant; before it is known, they are meant for the first one.
	bound *realmKey
	// forgotten says that the server has not accepted the credentials.
	forgotten    bool
	session      *clientSession
	exchange     *pendingExchange
	verification *pendingVerification
	pi           map[realmKey]*big.Int

	// remaining is the number of requests after the current one.
	remaining  int
	misbehaved bool
}

// result is the final status of a sequence of exchanges.
type result struct {
	status    int
	outcome   string
	exchanges int
	reason    string
	body      string
	detail    string
}

// The final states of RFC 8120 section 10.1, and the fatal communication error.
const (
	authSucceed     = "AUTH-SUCCEED"
	authRequired    = "AUTH-REQUIRED"
	unauthenticated = "UNAUTHENTICATED"
	fatal           = "FATAL"
)

// step is a step of RFC 8120 section 10.2.
type step int

const (
	newRequest        step = 1
	knownRealm        step = 2
	verifyFirst       step = 3
	exchangeFirst     step = 4
	normalFirst       step = 5
	receivedInit      step = 6
	knownUser         step = 7
	verifyLater       step = 8
	exchangeLater     step = 9
	verifyNew         step = 10
	receivedNormal    step = 11
	unknownUser       step = 12
	authFailed        step = 13
	receivedVerify    step = 14
	ignoreServerError step = 15
)

// sends says which message a step sends.
var sends = map[step]messageKind{
	verifyFirst: kindClientVerification, verifyLater: kindClientVerification, verifyNew: kindClientVerification,
	exchangeFirst: kindClientExchange, exchangeLater: kindClientExchange,
	normalFirst: kindNone,
}

// transitions says which replies a step allows, and where they lead; all others are fatal.
var transitions = map[step]map[replyKind]step{
	verifyFirst: {
		replyOtherRealm: receivedInit, replyStale: exchangeLater, replyInit: authFailed,
		replyVerification: receivedVerify, replyNormal: receivedNormal, replyServerError: ignoreServerError,
	},
	exchangeFirst: {
		replyOtherRealm: receivedInit, replyExchange: verifyNew, replyInit: authFailed,
		replyNormal: receivedNormal, replyServerError: ignoreServerError,
	},
	normalFirst: {replyInit: receivedInit, replyNormal: receivedNormal},
	verifyLater: {
		replyStale: exchangeLater, replyInit: authFailed, replyVerification: receivedVerify, replyServerError: ignoreServerError,
	},
	exchangeLater: {replyExchange: verifyNew, replyInit: authFailed, replyServerError: ignoreServerError},
	verifyNew:     {replyInit: authFailed, replyVerification: receivedVerify, replyServerError: ignoreServerError},
}

// request runs the state machine once. The error is for network problems.
func (c *mutualClient) request() (result, error) {
	out := result{reason: "none"}
	var last *reply
	for current := newRequest; ; {
		switch current {
		case newRequest:
			current = normalFirst
			if c.offer != nil && !c.forgotten {
				current = knownRealm
			}
		case knownRealm:
			current = exchangeFirst
			if c.session.usable() {
				current = verifyFirst
			}
		case receivedInit:
			chosen, err := c.choose(last.messages)
			if err != nil {
				return c.fatal(out, err), nil
			}
			current = unknownUser
			if chosen {
				current = knownUser
			}
		case knownUser:
			current = exchangeLater
			if c.session.usable() {
				current = verifyLater
			}
		case receivedNormal:
			out.outcome, out.body = unauthenticated, last.response.body
			return out, nil
		case ignoreServerError:
			out.outcome, out.reason = unauthenticated, "server-error"
			return out, nil
		case authFailed:
			c.forgotten = true
			current = unknownUser
		case unknownUser:
			out.outcome = authRequired
			return out, nil
		case receivedVerify:
			if err := c.checkVerification(last.info); err != nil {
				return c.fatal(out, err), nil
			}
			out.outcome, out.body = authSucceed, last.response.body
			return out, nil
		default:
			var err error
			if last, err = c.perform(sends[current]); err != nil {
				return out, err
			}
			out.exchanges++
			out.status = last.response.status
			if last.message != nil && last.message.reason != "" {
				out.reason = last.message.reason
			}
			next, allowed := transitions[current][last.kind]
			if !allowed {
				if last.err == nil {
					last.err = fmt.Errorf("the response with the status %d is not allowed here", out.status)
				}
				return c.fatal(out, last.err), nil
			}
			if out.status == 401 && sends[current] == kindClientVerification {
				c.session = nil
			}
			if last.kind == replyExchange {
				if err := c.acceptExchange(last.message); err != nil {
					return c.fatal(out, err), nil
				}
			}
			current = next
		}
	}
}

// fatal ends a sequence; nothing of the response is used, and the session is discarded.
func (c *mutualClient) fatal(out result, err error) result {
	out.outcome, out.detail = fatal, err.Error()
	c.session, c.exchange, c.verification = nil, nil, nil
	c.http.close()
	return out
}

// perform sends a message and classifies the response. A connection that has been idle may turn out to be closed; then it tries once more.
func (c *mutualClient) perform(kind messageKind) (*reply, error) {
	for attempt := 0; ; attempt++ {
		idle := c.http.connection != nil
		l, err := c.http.connect()
		if err != nil {
			return nil, err
		}
		authorization := ""
		switch kind {
		case kindClientExchange:
			authorization, err = c.exchangeCredentials()
		case kindClientVerification:
			authorization, err = c.verificationCredentials(l)
		}
		if err != nil {
			return nil, err
		}
		response, err := c.http.send(authorization)
		if err == nil {
			return c.classify(response, kind), nil
		}
		if !idle || attempt > 0 {
			return nil, err
		}
	}
}

// choose selects a challenge by the preferences of the client, validation methods before algorithms.
// It returns false if the client does not know how to authenticate to any of the realms.
func (c *mutualClient) choose(messages []*message) (bool, error) {
	covered := false
	for _, m := range messages {
		covered = covered || c.http.origin.coveredBy(m.realm.scope)
	}
	if !covered {
		return false, errors.New("the authentication scope does not cover the host")
	}
	for _, validation := range c.validations {
		if _, err := validationValue(validation, c.http.link); err != nil {
			continue
		}
		for _, algorithm := range c.algorithms {
			for _, m := range messages {
				if m.validation != validation || m.realm.algorithm != algorithm || !c.http.origin.coveredBy(m.realm.scope) {
					continue
				}
				return c.adopt(offer{realm: m.realm, validation: m.validation, scopeSent: m.scopeSent}), nil
			}
		}
	}
	return false, nil
}

// adopt makes an offer the current one if the credentials are meant for its realm.
func (c *mutualClient) adopt(o offer) bool {
	if c.forgotten || c.bound != nil && *c.bound != o.realm {
		return false
	}
	if c.offer == nil || *c.offer != o {
		c.session = nil
	}
	c.offer, c.bound = &o, &o.realm
	return true
}
