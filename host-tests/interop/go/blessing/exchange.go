package main

import (
	"bytes"
	"errors"
	"fmt"
)

// blessingsReader collects what the other end sends on flow 1.
type blessingsReader struct {
	stream     *vomStream
	blessings  map[uint64]blessings
	discharges map[uint64][]discharge
	owner      publicKey // of all blessings
}

func newBlessingsReader() *blessingsReader {
	return &blessingsReader{stream: newVOMStream(), blessings: map[uint64]blessings{}, discharges: map[uint64][]discharge{}}
}

// write takes the payload of a Data message.
func (r *blessingsReader) write(payload []byte) error {
	r.stream.write(payload)
	for {
		element, err := r.stream.next()
		if errors.Is(err, errShort) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.element(element); err != nil {
			return err
		}
	}
}

// element takes one element of the stream.
func (r *blessingsReader) element(element *value) error {
	if err := expect(element, kindUnion); err != nil {
		return err
	}
	inner := &element.items[0]
	switch name := element.typ.fields[element.number].name; name {
	case "Blessings":
		if err := wantFields(inner, typeFlowMessage1); err != nil {
			return err
		}
		key, err := wantUnsigned(inner.field("BKey"))
		if err != nil {
			return err
		}
		b, err := wantBlessings(inner.field("Blessings"))
		if err != nil {
			return err
		}
		return r.addBlessings(key, b)
	case "Discharges":
		if err := wantFields(inner, typeFlowMessage2); err != nil {
			return err
		}
		key, err1 := wantUnsigned(inner.field("DKey"))
		blessingsKey, err2 := wantUnsigned(inner.field("BKey"))
		list, err3 := wantList(inner.field("Discharges"), wantDischarge)
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		if _, known := r.discharges[key]; known || key == 0 || r.blessings[blessingsKey] == nil {
			return fmt.Errorf("the discharges key %d is used again, or is for unknown blessings", key)
		}
		r.discharges[key] = list
		return nil
	default:
		return fmt.Errorf("an element %q is not supported", name)
	}
}

// addBlessings takes blessings if they are valid and for the same key as the first.
func (r *blessingsReader) addBlessings(key uint64, b blessings) error {
	if key == 0 || r.blessings[key] != nil {
		return fmt.Errorf("the blessings key %d is used again", key)
	}
	if err := b.validate(); err != nil {
		return err
	}
	owner, err := b.publicKey()
	if err != nil {
		return err
	}
	if r.owner.key != nil && !bytes.Equal(r.owner.der, owner.der) {
		return errors.New("the blessings are for another key than the first ones")
	}
	r.owner, r.blessings[key] = owner, b
	return nil
}

// named returns the blessings and discharges that a message names.
func (r *blessingsReader) named(blessingsKey, dischargeKey uint64) (blessings, []discharge, error) {
	b := r.blessings[blessingsKey]
	if b == nil {
		return nil, nil, fmt.Errorf("the blessings key %d is unknown", blessingsKey)
	}
	d, known := r.discharges[dischargeKey]
	if dischargeKey != 0 && !known {
		return nil, nil, fmt.Errorf("the discharges key %d is unknown", dischargeKey)
	}
	return b, d, nil
}

// checkAuth verifies the signed Auth message of the other end over its tag and the binding. If the signature is all that is wrong, the
// blessings are returned with the error. A lax end takes odd forms of signatures, as upstream does.
func (r *blessingsReader) checkAuth(a *auth, tag string, binding []byte, lax bool) (blessings, []discharge, error) {
	b, d, err := r.named(a.blessingsKey, a.dischargeKey)
	if err != nil {
		return nil, nil, err
	}
	s := a.signature
	if !lax && (string(s.purpose) != purposeMessage || len(a.trailing) > 0 || !r.owner.isCanonical(s)) {
		return nil, nil, errors.New("the signature of the channel binding has an odd form")
	}
	if !r.owner.verify(append([]byte(tag), binding...), s) {
		return b, d, errors.New("the signature of the channel binding is wrong")
	}
	return b, d, nil
}

// blessingsWriter writes blessings and discharges of this end to flow 1. Their keys count from 1.
type blessingsWriter struct {
	stream  vomWriter
	lastKey uint64
}

// blessings returns the octets for flow 1, and the key.
func (w *blessingsWriter) blessings(b blessings) ([]byte, uint64) {
	w.lastKey++
	return w.stream.encode(flowBlessings(b, w.lastKey)), w.lastKey
}

// discharges returns the octets for flow 1, and the key.
func (w *blessingsWriter) discharges(list []discharge, blessingsKey uint64) ([]byte, uint64) {
	w.lastKey++
	return w.stream.encode(flowDischarges(list, w.lastKey, blessingsKey)), w.lastKey
}
