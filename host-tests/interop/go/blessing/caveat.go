package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The identifiers of caveats.
var (
	idConst      = [16]byte{}
	idExpiry     = sixteen("a64c2d0119fba3348071feeb2f308000")
	idNotBefore  = sixteen("baaf6839a98f9c138399cd69d6ff9925")
	idMethod     = sixteen("54a676398137187ecdb26d2d69ba0003")
	idPeers      = sixteen("0577f8564c8e5ffeff8e2b1f4d6d8000")
	idThirdParty = sixteen("7972ce174a7ba93f79547d769c918000")
	idAccessTag  = sixteen("efcde3751416c73b189ce89ccc938000")
)

// sixteen decodes an identifier from hex.
func sixteen(text string) (id [16]byte) {
	if count, err := hex.Decode(id[:], []byte(text)); err != nil || count != len(id) {
		panic("an identifier does not have 16 octets")
	}
	return id
}

// callContext is what caveats are judged by.
type callContext struct {
	at         time.Time
	method     string
	tags       []string // of the method
	localNames []string
	discharges []discharge
}

// thirdParty is the parameter of a third-party caveat.
type thirdParty struct {
	nonce         [16]byte
	caveats       []caveat
	dischargerKey []byte
	location      string
	requirements  [3]bool
}

// Fields of the parameter of a third-party caveat.
var (
	typeRequirements = structOf("v.io/v23/security.ThirdPartyRequirements",
		vomField{"ReportServer", typeBool}, vomField{"ReportMethod", typeBool}, vomField{"ReportArguments", typeBool})
	typeNonce           = &vomType{kind: kindArray, name: "v.io/v23/security.nonce", elem: typeByte, length: 16}
	typeThirdPartyParam = structOf("v.io/v23/security.publicKeyThirdPartyCaveatParam", vomField{"Nonce", typeNonce}, vomField{"Caveats", typeCaveats},
		vomField{"DischargerKey", typeBytes}, vomField{"DischargerLocation", typeString}, vomField{"DischargerRequirements", typeRequirements})
)

func wantThirdParty(v *value) (*thirdParty, error) {
	if err := wantFields(v, typeThirdPartyParam); err != nil {
		return nil, err
	}
	p, errs := new(thirdParty), make([]error, 5)
	p.nonce, errs[0] = wantSixteen(v.field("Nonce"))
	p.caveats, errs[1] = wantList(v.field("Caveats"), wantCaveat)
	p.dischargerKey, errs[2] = wantOctets(v.field("DischargerKey"))
	p.location, errs[3] = wantString(v.field("DischargerLocation"))
	requirements := v.field("DischargerRequirements")
	errs[4] = wantFields(requirements, typeRequirements)
	if errs[4] == nil {
		for i, field := range typeRequirements.fields {
			p.requirements[i] = requirements.field(field.name).number == 1
		}
	}
	return p, errors.Join(errs...)
}

// thirdParty decodes the parameter of a third-party caveat.
func (c caveat) thirdParty() (*thirdParty, error) {
	decoded, err := decodeSingle(c.param)
	if err != nil {
		return nil, err
	}
	return wantThirdParty(decoded)
}

// check says why the caveat does not hold.
func (c caveat) check(context *callContext) error {
	return c.checkNested(context, 0)
}

func (c caveat) checkNested(context *callContext, depth int) error {
	if depth > maxDepth {
		return errors.New("discharges have too many third-party caveats in each other")
	}
	decoded, err := decodeSingle(c.param)
	if err != nil {
		return fmt.Errorf("the parameter of the caveat %x is malformed: %w", c.id, err)
	}
	switch c.id {
	case idConst:
		if err = expect(decoded, kindBool); err == nil && decoded.number != 1 {
			err = errors.New("a constant caveat does not hold")
		}
	case idExpiry, idNotBefore:
		var limit time.Time
		if limit, err = wantTime(decoded); err != nil {
			return err
		}
		if c.id == idExpiry && context.at.After(limit) {
			err = fmt.Errorf("it expired at %s", limit)
		}
		if c.id == idNotBefore && !context.at.After(limit) {
			err = fmt.Errorf("it begins at %s", limit)
		}
	case idMethod:
		var methods []string
		if methods, err = wantList(decoded, wantString); err == nil && !slices.Contains(methods, context.method) {
			err = fmt.Errorf("the method %q is not in the list", context.method)
		}
	case idPeers:
		var patterns []string
		if patterns, err = wantList(decoded, wantString); err == nil && !anyMatches(patterns, context.localNames) {
			err = errors.New("it is not for a peer like this")
		}
	case idAccessTag:
		var tags []string
		isListed := func(tag string) bool { return slices.Contains(tags, tag) }
		if tags, err = wantList(decoded, wantString); err == nil && !slices.ContainsFunc(context.tags, isListed) {
			err = errors.New("the method has none of the tags")
		}
	case idThirdParty:
		var p *thirdParty
		if p, err = wantThirdParty(decoded); err == nil {
			err = p.checkDischarge(context, depth)
		}
	default:
		err = fmt.Errorf("the caveat %x is unknown", c.id)
	}
	return err
}

// checkDischarge looks at the first discharge with the right identifier.
func (p *thirdParty) checkDischarge(context *callContext, depth int) error {
	id, err := p.dischargeID()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(context.discharges, func(d discharge) bool { return d.caveatID == id })
	if at < 0 {
		return fmt.Errorf("the discharge %s is missing", id)
	}
	d := &context.discharges[at]
	key, err := parsePublicKey(p.dischargerKey)
	if err != nil {
		return err
	}
	if !bytes.Equal(d.signature.purpose, []byte(purposeDischarge)) || !key.verify(d.message(), d.signature) {
		return fmt.Errorf("the signature of the discharge %s is wrong", id)
	}
	for _, inner := range d.caveats {
		if err := inner.checkNested(context, depth+1); err != nil {
			return fmt.Errorf("a caveat of the discharge %s: %w", id, err)
		}
	}
	return nil
}

// text describes the parameter for a human.
func (c caveat) text() string {
	decoded, err := decodeSingle(c.param)
	if err != nil {
		return "malformed: " + err.Error()
	}
	if at, err := wantTime(decoded); err == nil {
		return at.Format(time.RFC3339Nano)
	}
	if list, err := wantList(decoded, wantString); err == nil {
		return "[" + strings.Join(list, ", ") + "]"
	}
	if decoded.typ.kind == kindBool {
		return fmt.Sprint(decoded.number == 1)
	}
	if p, err := wantThirdParty(decoded); err == nil {
		id, _ := p.dischargeID()
		return fmt.Sprintf("discharge %s from %q", id, p.location)
	}
	return decoded.typ.String()
}
