package main

import (
	"bytes"
	"crypto/ecdh"
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// recordedEnd is one end of a recorded handshake.
type recordedEnd struct {
	Roots []struct {
		Pattern string `json:"pattern"`
		SPKI    string `json:"spki"`
	} `json:"roots"`
}

func (e *recordedEnd) known(t *testing.T) roots {
	known := roots{}
	for _, root := range e.Roots {
		noError(t, known.add(unhex(t, root.SPKI), root.Pattern))
	}
	return known
}

// recordedMessage is a recorded frame.
type recordedMessage struct {
	From      string  `json:"from"`
	Frame     string  `json:"frame"`
	Delivered string  `json:"delivered"`
	Plain     *string `json:"plain"`
	Message   struct {
		Type     string           `json:"type"`
		Octet    string           `json:"octet"`
		Unsigned bool             `json:"unsigned"`
		Hash     string           `json:"hash"`
		Flow1    []recordedFlow1  `json:"flow1"`
		Signed   *recordedSigning `json:"signed"`
	} `json:"message"`
}

type recordedSigning struct {
	MessageHash string `json:"message_hash"`
	Digest      string `json:"digest"`
	Verifies    bool   `json:"verifies_at_other_end"`
}

type recordedFlow1 struct {
	BlessingsKey    uint64 `json:"blessings_key"`
	Nameless        bool   `json:"nameless"`
	PublicKey       string `json:"public_key"`
	UniqueID        string `json:"unique_id"`
	DischargesKey   uint64 `json:"discharges_key"`
	ForBlessingsKey uint64 `json:"for_blessings_key"`
	Discharges      []struct {
		ID string `json:"third_party_caveat_id"`
	} `json:"discharges"`
}

// recordedQuestion is what an authorizer was asked.
type recordedQuestion struct {
	Timestamp   time.Time   `json:"timestamp"`
	Method      string      `json:"method"`
	LocalNames  []string    `json:"local_names"`
	RemoteNames []string    `json:"remote_names"`
	Rejected    []rejection `json:"rejected"`
	Discharges  int         `json:"n_discharges"`
}

// recordedHandshake is a recorded connection.
type recordedHandshake struct {
	ID           string            `json:"id"`
	Dialer       recordedEnd       `json:"dialer"`
	Acceptor     recordedEnd       `json:"acceptor"`
	NaClSecret   map[string]string `json:"nacl_secret"`
	X25519Output string            `json:"x25519_output"`
	SharedKey    string            `json:"shared_key"`
	NonceOctet8  map[string]byte   `json:"nonce_octet_8"`
	Version      json.RawMessage   `json:"version"`
	Binding      json.RawMessage   `json:"binding"`
	Messages     []recordedMessage `json:"messages"`
	Outcome      struct {
		AcceptorAsked []recordedQuestion `json:"acceptor_authorizations"`
		DialerAsked   []recordedQuestion `json:"dialer_authorizations"`
	} `json:"outcome"`
}

// replay is the state of one recorded direction.
type replay struct {
	name     string
	own      *setup // as sent
	received *setup // from the other end, as delivered
	sentFull []byte
	gotFull  []byte
	box      *box
	reader   *blessingsReader // of what this end sent
	stream   []byte           // flow 1, as sent
	elements []value
	stages   *vomStream
	shown    [2]uint64 // blessings and discharges of the signed Auth
	flows    []*openFlow
}

func TestRecordedHandshakes(t *testing.T) {
	var recorded struct {
		Handshakes []recordedHandshake `json:"handshakes"`
	}
	vectors(t, "vanadium-live.json", &recorded)
	if len(recorded.Handshakes) != 28 {
		t.Errorf("there are %d handshakes", len(recorded.Handshakes))
	}
	for _, h := range recorded.Handshakes {
		t.Run(h.ID, func(t *testing.T) { h.check(t) })
	}
}

func (h *recordedHandshake) check(t *testing.T) {
	ends := map[string]*replay{}
	for _, name := range []string{"dialer", "acceptor"} {
		ends[name] = &replay{name: name, reader: newBlessingsReader(), stages: newVOMStream()}
	}
	for _, m := range h.Messages[:2] {
		sender, receiver := ends[m.From], ends[map[string]string{"dialer": "acceptor", "acceptor": "dialer"}[m.From]]
		body := unframe(t, m.Frame)
		var err error
		sender.own, err = parseSetup(body)
		noError(t, err)
		if !bytes.Equal(sender.own.encode(), body) {
			t.Error("the Setup is not encoded the same again")
		}
		if m.Delivered != "" {
			body = unframe(t, m.Delivered)
		}
		receiver.received, err = parseSetup(body)
		noError(t, err)
		sender.sentFull, receiver.gotFull = sender.own.encode(), receiver.received.encode()
	}
	if _, err := chooseVersion(ends["dialer"].own, ends["dialer"].received); err != nil {
		if string(h.Version) != "null" && h.Version != nil || len(h.Messages) != 4 {
			t.Errorf("version %s: %v", h.Version, err)
		}
		return
	}
	for name, end := range ends {
		h.prepare(t, name, end)
	}
	for _, m := range h.Messages[2:] {
		sender, receiver := ends[m.From], ends[map[string]string{"dialer": "acceptor", "acceptor": "dialer"}[m.From]]
		sealed := unframe(t, m.Frame)
		plain, opened := receiver.box.open(sealed)
		if !opened || hexOf(plain) != *m.Plain {
			t.Fatalf("a frame of the %s does not open", m.From)
		}
		if !bytes.Equal(sender.box.seal(plain), sealed) {
			t.Error("the message is not sealed the same again")
		}
		h.message(t, &m, plain, sender, receiver)
	}
	for _, end := range ends {
		var again []byte
		w := new(vomWriter)
		for _, element := range end.elements {
			again = append(again, w.encode(sameElement(t, &element))...)
		}
		if !bytes.Equal(again, end.stream) {
			t.Errorf("flow 1 of the %s is not encoded the same again", end.name)
		}
	}
	h.questions(t, ends["dialer"], ends["acceptor"])
}

func unframe(t *testing.T, text string) []byte {
	octets := unhex(t, text)
	body, err := readFrame(bytes.NewReader(octets))
	noError(t, err)
	if !bytes.Equal(frame(body), octets) {
		t.Error("the frame is not written the same again")
	}
	return body
}

// perEnd returns a recorded member that is an object when the ends differ.
func perEnd[T any](t *testing.T, raw json.RawMessage, name string) T {
	var both T
	if json.Unmarshal(raw, &both) == nil {
		return both
	}
	var each map[string]T
	noError(t, json.Unmarshal(raw, &each))
	return each[name]
}

// prepare checks the key agreement and the binding of one end.
func (h *recordedHandshake) prepare(t *testing.T, name string, end *replay) {
	secret, err := ecdh.X25519().NewPrivateKey(unhex(t, h.NaClSecret[name]))
	noError(t, err)
	if !bytes.Equal(secret.PublicKey().Bytes(), end.own.naclKey) {
		t.Errorf("the %s's box key is %x", name, secret.PublicKey().Bytes())
	}
	end.box, err = newBox(secret, end.received.naclKey)
	noError(t, err)
	if hexOf(end.box.key[:]) != h.SharedKey || nonce(0, end.box.smaller)[8] != h.NonceOctet8[name] {
		t.Errorf("key %x", end.box.key)
	}
	version, err := chooseVersion(end.own, end.received)
	noError(t, err)
	if want := perEnd[uint64](t, h.Version, name); version != want {
		t.Errorf("the %s chooses version %d", name, version)
	}
	if want := perEnd[string](t, h.Binding, name); hexOf(end.binding(version)) != want {
		t.Errorf("the %s's binding is %x", name, end.binding(version))
	}
}

func (r *replay) binding(version uint64) []byte {
	if r.name == "dialer" {
		return bindingOf(version, r.own, r.received, r.sentFull, r.gotFull)
	}
	return bindingOf(version, r.received, r.own, r.gotFull, r.sentFull)
}

// message checks a message after the Setups.
func (h *recordedHandshake) message(t *testing.T, m *recordedMessage, plain []byte, sender, receiver *replay) {
	parsed, err := parseMessage(plain)
	noError(t, err)
	if !bytes.Equal(parsed.(message).encode(), plain) {
		t.Errorf("%s is not encoded the same again", m.Message.Type)
	}
	switch parsed := parsed.(type) {
	case *data:
		if parsed.flow == blessingsFlow {
			sender.flow1(t, m, parsed.payload)
		}
	case *openFlow:
		sender.flows = append(sender.flows, parsed)
	case *auth:
		if m.Message.Type != "Auth" || parsed.isUnsigned() != m.Message.Unsigned {
			t.Error("Auth is recorded otherwise")
		}
		if parsed.isUnsigned() {
			return
		}
		sender.shown = [2]uint64{parsed.blessingsKey, parsed.dischargeKey}
		tags := map[string]string{"dialer": tagDialer, "acceptor": tagAcceptor}
		version, err := chooseVersion(receiver.own, receiver.received)
		noError(t, err)
		_, _, err = sender.reader.checkAuth(parsed, tags[sender.name], receiver.binding(version), false)
		if (err == nil) != m.Message.Signed.Verifies {
			t.Errorf("the Auth of the %s: %v", sender.name, err)
		}
		if _, _, err := sender.reader.checkAuth(parsed, tags[receiver.name], receiver.binding(version), false); err == nil {
			t.Error("the Auth verifies with the other tag")
		}
		ownVersion, err := chooseVersion(sender.own, sender.received)
		noError(t, err)
		text := append([]byte(tags[sender.name]), sender.binding(ownVersion)...)
		digest, _ := messageDigest(sender.reader.owner.der, text, parsed.signature.purpose, parsed.signature.hash)
		if got := hexOf(hashNamed(parsed.signature.hash)(text)); got != m.Message.Signed.MessageHash || hexOf(digest) != m.Message.Signed.Digest {
			t.Errorf("the digests of the Auth are %s and %x", got, digest)
		}
	}
}

// flow1 takes a piece of flow 1, and checks the elements that end with it.
func (r *replay) flow1(t *testing.T, m *recordedMessage, payload []byte) {
	noError(t, r.reader.write(payload))
	r.stream = append(r.stream, payload...)
	r.stages.write(payload)
	for _, want := range m.Message.Flow1 {
		element, err := r.stages.next()
		noError(t, err)
		r.elements = append(r.elements, *element)
		if want.DischargesKey != 0 {
			list := r.reader.discharges[want.DischargesKey]
			if len(list) != len(want.Discharges) || len(list) > 0 && list[0].caveatID != want.Discharges[0].ID {
				t.Errorf("discharges %v", list)
			}
			continue
		}
		b := r.reader.blessings[want.BlessingsKey]
		id, err := b.uniqueID()
		noError(t, err)
		key, err := b.publicKey()
		noError(t, err)
		if hexOf(id) != want.UniqueID || hexOf(key.der) != want.PublicKey || b.isNameless() != want.Nameless {
			t.Errorf("blessings %d: %x for %x", want.BlessingsKey, id, key.der)
		}
	}
}

// sameElement makes an element of flow 1 of what was read.
func sameElement(t *testing.T, element *value) value {
	inner := &element.items[0]
	key := inner.field("BKey").number
	if element.number == 0 {
		b, err := wantBlessings(inner.field("Blessings"))
		noError(t, err)
		return flowBlessings(b, key)
	}
	list, err := wantList(inner.field("Discharges"), wantDischarge)
	noError(t, err)
	return flowDischarges(list, inner.field("DKey").number, key)
}

// questions derives again what the authorizers were asked.
func (h *recordedHandshake) questions(t *testing.T, dialer, acceptor *replay) {
	if len(h.Outcome.DialerAsked) > 0 {
		q := h.Outcome.DialerAsked[0]
		if !q.matches(t, h.Dialer.known(t), acceptor.reader, acceptor.shown[0], acceptor.shown[1]) {
			t.Errorf("the dialer was asked otherwise: %+v", q)
		}
	}
	for _, q := range h.Outcome.AcceptorAsked {
		known := h.Acceptor.known(t)
		if !slices.ContainsFunc(dialer.flows, func(o *openFlow) bool {
			return q.matches(t, known, dialer.reader, o.blessingsKey, o.dischargeKey)
		}) {
			t.Errorf("the acceptor was asked otherwise: %+v", q)
		}
	}
}

func (q *recordedQuestion) matches(t *testing.T, known roots, reader *blessingsReader, blessingsKey, dischargeKey uint64) bool {
	b, discharges, err := reader.named(blessingsKey, dischargeKey)
	noError(t, err)
	names, rejected := known.remoteNames(b, &callContext{at: q.Timestamp, method: q.Method, localNames: q.LocalNames, discharges: discharges})
	// Upstream lists those whose root is unknown before the others.
	list := func(rejected []rejection) (names []string) {
		for _, r := range rejected {
			names = append(names, r.Name)
		}
		slices.Sort(names)
		return names
	}
	return slices.Equal(names, q.RemoteNames) && slices.Equal(list(rejected), list(q.Rejected)) && len(discharges) == q.Discharges
}
