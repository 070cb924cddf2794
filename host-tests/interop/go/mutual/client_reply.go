package main

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"strings"
)

// replyKind says what a response is to the client, which depends on what it has sent.
type replyKind int

const (
	// replyInvalid is a response that no rule allows.
	replyInvalid replyKind = iota
	replyNormal
	// replyServerError is a 5xx status without headers of the protocol.
	replyServerError
	replyInit
	// replyOtherRealm is a 401-INIT message for another realm than that of the request.
	replyOtherRealm
	replyStale
	replyExchange
	replyVerification
)

// reply is a response after classification.
type reply struct {
	kind     replyKind
	response *httpResponse
	// messages are all usable Mutual challenges, and message is the one that decides.
	messages []*message
	message  *message
	info     *verificationInfo
	err      error
}

// classify says what a response to a request of a kind is: kindNone, kindClientExchange or kindClientVerification.
func (c *mutualClient) classify(response *httpResponse, sent messageKind) *reply {
	r := &reply{response: response}
	if len(response.info) > 0 {
		info, err := parseInfo(response.info)
		if err != nil && sent != kindNone {
			r.err = errors.New("Authentication-Info: " + err.Error())
			return r
		}
		if info != nil && response.status != 401 {
			r.kind, r.info = replyVerification, info
			return r
		}
	}
	if r.err = r.readChallenges(c.http.origin.serialization()); r.err != nil {
		return r
	}
	switch {
	case len(r.messages) == 0 && response.status >= 500 && sent != kindNone:
		r.kind = replyServerError
	case len(r.messages) == 0:
		r.kind = replyNormal
	case response.status < 400 || response.status > 499:
		r.err = errors.New("a Mutual challenge came with a status other than 4xx")
	case sent == kindNone:
		r.decideAlone()
	default:
		r.decideFor(c.offer)
	}
	return r
}

// readChallenges collects the usable Mutual challenges; it fails if there are Mutual challenges and all have to be refused.
func (r *reply) readChallenges(defaultScope string) error {
	lines := r.response.header.Values("WWW-Authenticate")
	found, err := parseChallenges(lines)
	if err != nil {
		if strings.Contains(strings.ToLower(strings.Join(lines, ",")), "mutual") {
			return err
		}
		return nil
	}
	var refused error
	for _, one := range found {
		if one.scheme != "mutual" {
			continue
		}
		if m, err := parseChallengeMessage(one, defaultScope); err != nil {
			refused = err
		} else {
			r.messages = append(r.messages, m)
		}
	}
	if len(r.messages) == 0 {
		return refused
	}
	return nil
}

// decideAlone is for responses to normal requests, which may be 401-INIT only.
func (r *reply) decideAlone() {
	for _, m := range r.messages {
		if m.kind != kindInit {
			r.err = errors.New("the response to a normal request is neither normal nor 401-INIT")
			return
		}
	}
	r.kind, r.message = replyInit, r.messages[0]
}

// decideFor is for responses to requests in a realm.
func (r *reply) decideFor(o *offer) {
	onlyInit := true
	for _, m := range r.messages {
		onlyInit = onlyInit && m.kind == kindInit
		if m.realm == o.realm && (r.message == nil || m.validation == o.validation) {
			r.message = m
		}
	}
	switch {
	case !onlyInit && len(r.messages) > 1:
		r.err = errors.New("the response has several Mutual challenges although they are not all 401-INIT")
	case r.message == nil && onlyInit:
		r.kind, r.message = replyOtherRealm, r.messages[0]
	case r.message == nil:
		r.err = errors.New("the response belongs to another realm")
	case r.message.kind == kindInit:
		r.kind = replyInit
	case r.message.kind == kindStale:
		r.kind = replyStale
	case r.response.status != 401 || r.message.validation != o.validation || r.message.scopeSent != o.scopeSent:
		r.err = errors.New("401-KEX-S1 has another status, validation or auth-scope than expected")
	default:
		r.kind = replyExchange
	}
}

// checkVerification checks the sid and VK_s of a 200-VFY-S message.
func (c *mutualClient) checkVerification(info *verificationInfo) error {
	if !bytes.Equal(info.sid, c.session.sid) {
		return errors.New("200-VFY-S has another sid")
	}
	a := c.session.algorithm
	vks, err := a.parseParameter(info.vks, a.hashLength())
	if err != nil {
		return err
	}
	// The value vh is taken from the connection again, as RFC 8120 section 7.2 demands.
	vh, err := validationValue(c.offer.validation, c.http.link)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(vks, c.session.serverVerification(c.verification.nc, vh)) != 1 {
		return errors.New("the value of vks is wrong")
	}
	return nil
}
