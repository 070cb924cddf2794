package main

import (
	"errors"
	"fmt"
)

// maxPayload bounds what is collected of one flow.
const maxPayload = 16 << 20

// flow is a flow for an application. Its payload goes one way, then the other.
type flow struct {
	id         uint64
	tokens     uint64 // what this end may send yet
	allowance  uint64 // what the other end may send yet
	unreleased uint64 // what was received since the last Release
	payload    []byte // what was received
	complete   bool   // whether a piece was shorter than the others, so that it is the last
	closed     bool   // by the other end
	authorized flowNames
}

// flowNames are the names of the other end on a flow.
type flowNames struct {
	names    []string
	rejected []rejection
}

// session is a channel after its handshake.
type session struct {
	*channel
	method string   // of all flows that the other end opens
	allow  []string // patterns of names that may open flows, for an acceptor
	flows  map[uint64]*flow
	opened map[uint64]bool // identifiers that were used
	asked  *flowNames      // the names on the last flow that was opened
}

func newSession(c *channel, method string, allow []string) *session {
	return &session{channel: c, method: method, allow: allow, flows: map[uint64]*flow{}, opened: map[uint64]bool{}}
}

// step reads one message and does what it asks for.
func (s *session) step() error {
	s.extendDeadline()
	m, _, err := s.read()
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *data:
		return s.data(m)
	case *openFlow:
		return s.open(m)
	case *auth:
		// This says which blessings are now the other end's own. A signature here has no meaning.
		if _, _, err := s.reader.named(m.blessingsKey, m.dischargeKey); err != nil {
			return refuse(err)
		}
	case release:
		for id, tokens := range m {
			if f := s.flows[id]; f != nil {
				f.tokens += min(tokens, maxPayload)
			}
		}
	case simple:
		switch m {
		case octetEnterLameDuck:
			return s.write(simple(octetAckLameDuck))
		case octetHealthRequest:
			return s.write(simple(octetHealthResponse))
		}
	}
	return nil
}

// data takes a Data message. Those for unknown flows are ignored: the flow may have been closed.
func (s *session) data(m *data) error {
	if m.flow == blessingsFlow {
		if err := s.reader.write(m.payload); err != nil {
			return refuse(err)
		}
		return nil
	}
	f := s.flows[m.flow]
	if f == nil || f.closed {
		return nil
	}
	f.closed = m.flags&flagClose != 0
	return s.receive(f, m.payload)
}

// receive takes a piece of payload, and releases tokens when half of them are used.
func (s *session) receive(f *flow, piece []byte) error {
	size := uint64(len(piece))
	if size > s.mtu || size > f.allowance || len(f.payload)+len(piece) > maxPayload {
		return refuse(fmt.Errorf("too much payload on flow %d", f.id))
	}
	f.payload = append(f.payload, piece...)
	f.complete = len(f.payload) > 0 && size != s.piece()
	f.allowance -= size
	f.unreleased += size
	if f.unreleased < max(1, s.sharedTokens/2) {
		return nil
	}
	tokens := f.unreleased
	f.allowance, f.unreleased = f.allowance+tokens, 0
	return s.write(release{f.id: tokens})
}

// open takes an OpenFlow message, and decides whether the other end may open flows.
func (s *session) open(m *openFlow) error {
	b, discharges, err := s.reader.named(m.blessingsKey, m.dischargeKey)
	if err != nil {
		return refuse(err)
	}
	if fromDialer := m.flow%2 == 0; fromDialer == s.isDialer {
		return refuse(fmt.Errorf("the flow %d is not one of the other end's", m.flow))
	}
	if m.flow < firstFlow && !s.lax || s.opened[m.flow] {
		return refuse(fmt.Errorf("the flow %d is reserved or was opened before", m.flow))
	}
	s.opened[m.flow] = true
	if s.isDialer {
		// A dialer does not serve.
		return s.write(&data{flow: m.flow, flags: flagClose})
	}
	names, rejected := s.names(b, discharges, s.method)
	s.asked = &flowNames{names, rejected}
	if !anyMatches(s.allow, names) {
		return refuse(fmt.Errorf("the names %q of flow %d are not allowed", names, m.flow))
	}
	f := &flow{id: m.flow, tokens: m.counters, allowance: s.sharedTokens, closed: m.flags&flagClose != 0, authorized: *s.asked}
	s.flows[f.id] = f
	return s.receive(f, m.payload)
}

// piece returns the length of all pieces of a payload but the last. Both ends know it.
func (s *session) piece() uint64 {
	return max(1, min(s.mtu, s.sharedTokens/4))
}

// send sends payload on a flow, and waits for tokens where necessary. The last message has the flags. Without flags it is shorter than
// the other pieces, so that the other end knows it.
func (s *session) send(f *flow, payload []byte, flags uint64) error {
	for {
		size := min(uint64(len(payload)), s.piece())
		for f.tokens < size {
			if err := s.step(); err != nil {
				return err
			}
			if f.closed {
				return errors.New("the other end closed the flow")
			}
		}
		next := &data{flow: f.id, payload: payload[:size]}
		f.tokens, payload = f.tokens-size, payload[size:]
		last := len(payload) == 0 && (flags != 0 || size < s.piece())
		if last {
			next.flags = flags
		}
		if err := s.write(next); err != nil || last {
			return err
		}
	}
}

// serve answers flows until the connection ends. It calls the function for every flow that was answered.
func (s *session) serve(answered func(*flow)) error {
	for {
		if err := s.step(); err != nil {
			return err
		}
		for id, f := range s.flows {
			if !f.complete && !f.closed {
				continue
			}
			if !f.closed {
				if err := s.send(f, append([]byte("ok:"), f.payload...), flagClose); err != nil {
					return err
				}
				if err := s.write(&data{flow: id, flags: flagClose}); err != nil {
					return err
				}
				answered(f)
			}
			delete(s.flows, id)
		}
	}
}

// ask opens a flow, sends the payload, and returns what comes back until the other end closes the flow.
func (s *session) ask(payload []byte) ([]byte, error) {
	s.extendDeadline()
	opening := &openFlow{flow: firstFlow, counters: s.sharedTokens, blessingsKey: s.ownKey}
	if !s.ownIsReal && len(s.self.blessings) > 0 {
		octets, key := s.writer.blessings(s.self.blessings)
		opening.blessingsKey = key
		if len(s.self.discharges) > 0 {
			more, dischargeKey := s.writer.discharges(s.self.discharges, key)
			octets, opening.dischargeKey = append(octets, more...), dischargeKey
		}
		if err := s.write(&data{flow: blessingsFlow, payload: octets}); err != nil {
			return nil, err
		}
	} else if len(s.self.discharges) > 0 {
		opening.dischargeKey = s.writer.lastKey
	}
	if done, err := s.misdoFlow(opening, payload); err != nil || done {
		return nil, err
	}
	if err := s.write(opening); err != nil {
		return nil, err
	}
	f := &flow{id: opening.flow, tokens: s.sharedTokens, allowance: opening.counters}
	s.flows[f.id] = f
	if s.misdeed == "clear-payload" {
		if err := errors.Join(s.write(&data{flow: f.id, flags: flagClearPayload}), s.writeClear(payload)); err != nil {
			return nil, err
		}
	} else if err := s.send(f, payload, 0); err != nil {
		return nil, err
	}
	for !f.closed {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	return f.payload, nil
}

// misdoFlow changes the OpenFlow message, or sends something before it.
func (s *session) misdoFlow(opening *openFlow, payload []byte) (done bool, err error) {
	switch s.misdeed {
	case "zero-flow-key":
		opening.blessingsKey = 0
	case "unknown-flow-key":
		opening.blessingsKey = 9
	case "odd-flow-id":
		opening.flow = firstFlow + 1
	case "reserved-flow-id":
		opening.flow = 4
	case "flow-other-blessings", "refresh-other-blessings":
		octets, key := s.writer.blessings(s.other)
		if err := s.write(&data{flow: blessingsFlow, payload: octets}); err != nil {
			return false, err
		}
		if s.misdeed == "flow-other-blessings" {
			opening.blessingsKey = key
			return false, nil
		}
		return false, s.write(&auth{octet: octetAuthECDSA, blessingsKey: key})
	case "data-unknown-flow":
		return false, errors.Join(s.write(&data{flow: 98, payload: payload}), s.write(release{98: 5}))
	case "lame-duck":
		return false, s.write(simple(octetEnterLameDuck))
	case "health-check":
		return false, s.write(simple(octetHealthRequest))
	}
	return false, nil
}
