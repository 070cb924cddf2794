package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// The security types, with upstream's names.
var (
	typeID        = &vomType{kind: kindArray, name: "v.io/v23/uniqueid.Id", elem: typeByte, length: 16}
	typeCaveat    = structOf("v.io/v23/security.Caveat", vomField{"Id", typeID}, vomField{"ParamVom", typeBytes})
	typeCaveats   = listOf(typeCaveat)
	typeHash      = namedOf("v.io/v23/security.Hash", typeString)
	typeSignature = structOf("v.io/v23/security.Signature",
		vomField{"Purpose", typeBytes}, vomField{"Hash", typeHash}, vomField{"R", typeBytes}, vomField{"S", typeBytes},
		vomField{"Ed25519", typeBytes}, vomField{"Rsa", typeBytes})
	typeCertificate = structOf("v.io/v23/security.Certificate",
		vomField{"Extension", typeString}, vomField{"PublicKey", typeBytes}, vomField{"Caveats", typeCaveats},
		vomField{"X509Raw", typeBytes}, vomField{"Signature", typeSignature})
	typeBlessings  = structOf("v.io/v23/security.WireBlessings", vomField{"CertificateChains", listOf(listOf(typeCertificate))})
	typePublicKeyD = structOf("v.io/v23/security.PublicKeyDischarge",
		vomField{"ThirdPartyCaveatId", typeString}, vomField{"Caveats", typeCaveats}, vomField{"Signature", typeSignature})
	typeDischarge   = unionOf("v.io/v23/security.WireDischarge", vomField{"PublicKey", typePublicKeyD})
	typeTime        = structOf("time.Time", vomField{"Seconds", typeInt64}, vomField{"Nanos", typeInt32})
	typePatternList = listOf(namedOf("v.io/v23/security.BlessingPattern", typeString))
)

// The types of the stream on flow 1.
const flowPackage = "v.io/x/ref/runtime/internal/flow/conn."

var (
	typeBytesByName  = &vomType{kind: kindMap, key: typeString, elem: typeBytes}
	typeCiphertext   = structOf("v.io/x/ref/lib/security/bcrypter.WireCiphertext", vomField{"PatternId", typeString}, vomField{"Bytes", typeBytesByName})
	typeCiphertexts  = listOf(typeCiphertext)
	fieldBKey        = vomField{"BKey", typeUint64}
	fieldDKey        = vomField{"DKey", typeUint64}
	fieldCiphertexts = vomField{"Ciphertexts", typeCiphertexts}
	typeFlowMessage1 = structOf(flowPackage+"Blessings", vomField{"Blessings", typeBlessings}, fieldBKey)
	typeFlowMessage2 = structOf(flowPackage+"Discharges", vomField{"Discharges", listOf(typeDischarge)}, fieldDKey, fieldBKey)
	typeFlowMessage  = unionOf(flowPackage+"BlessingsFlowMessage",
		vomField{"Blessings", typeFlowMessage1},
		vomField{"Discharges", typeFlowMessage2},
		vomField{"EncryptedBlessings", structOf(flowPackage+"EncryptedBlessings", fieldCiphertexts, fieldBKey)},
		vomField{"EncryptedDischarges", structOf(flowPackage+"EncryptedDischarges", fieldCiphertexts, fieldDKey, fieldBKey)})
)

// signature is a signature with what it is for. One of the three algorithms has its fields.
type signature struct {
	purpose             []byte
	hash                string
	r, s, ed25519, rsa1 []byte
}

// caveat restricts a certificate or a discharge. The parameter is a whole VOM stream.
type caveat struct {
	id    [16]byte
	param []byte
}

// certificate is one link of a chain.
type certificate struct {
	extension string
	publicKey []byte
	caveats   []caveat
	x509      []byte
	signature signature
}

// chain is a list of certificates from the root to the leaf.
type chain []certificate

// blessings are chains that end in the same public key.
type blessings []chain

// discharge is the proof of a third party that its caveat holds.
type discharge struct {
	caveatID  string
	caveats   []caveat
	signature signature
}

// expect says whether the value is of the kind, and of bytes if it is a list or an array. A missing field does not fit.
func expect(v *value, kinds ...kind) error {
	if v == nil {
		return errors.New("a field is missing")
	}
	if !slices.Contains(kinds, v.typ.kind) {
		return fmt.Errorf("the type %s stands in place of another", v.typ)
	}
	return nil
}

// wantOctets returns the octets of a list or array of bytes.
func wantOctets(v *value) ([]byte, error) {
	if err := expect(v, kindList, kindArray); err != nil {
		return nil, err
	}
	if v.typ.elem.kind != kindByte {
		return nil, fmt.Errorf("the type %s stands in place of octets", v.typ)
	}
	return slices.Clone(v.octets), nil
}

func wantString(v *value) (string, error) {
	if err := expect(v, kindString); err != nil {
		return "", err
	}
	return string(v.octets), nil
}

func wantUnsigned(v *value) (uint64, error) {
	if err := expect(v, kindUnsigned); err != nil {
		return 0, err
	}
	return v.number, nil
}

// wantFields refuses all but structs with exactly the fields of the type. Their order does not count.
func wantFields(v *value, as *vomType) error {
	if err := expect(v, kindStruct); err != nil {
		return err
	}
	if len(v.typ.fields) != len(as.fields) {
		return fmt.Errorf("the type %s has other fields than %s", v.typ, as)
	}
	for _, field := range as.fields {
		if v.field(field.name) == nil {
			return fmt.Errorf("the type %s lacks the field %s", v.typ, field.name)
		}
	}
	return nil
}

// wantList converts every element of a list or array.
func wantList[T any](v *value, convert func(*value) (T, error)) ([]T, error) {
	if err := expect(v, kindList, kindArray); err != nil {
		return nil, err
	}
	if v.typ.elem.kind == kindByte {
		return nil, errors.New("octets stand in place of another list")
	}
	var list []T
	for i := range v.items {
		item, err := convert(&v.items[i])
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, nil
}

func wantBlessings(v *value) (blessings, error) {
	if err := wantFields(v, typeBlessings); err != nil {
		return nil, err
	}
	return wantList(v.field("CertificateChains"), func(v *value) (chain, error) { return wantList(v, wantCertificate) })
}

func wantCertificate(v *value) (c certificate, err error) {
	if err = wantFields(v, typeCertificate); err != nil {
		return c, err
	}
	errs := make([]error, 5)
	c.extension, errs[0] = wantString(v.field("Extension"))
	c.publicKey, errs[1] = wantOctets(v.field("PublicKey"))
	c.caveats, errs[2] = wantList(v.field("Caveats"), wantCaveat)
	c.x509, errs[3] = wantOctets(v.field("X509Raw"))
	c.signature, errs[4] = wantSignature(v.field("Signature"))
	return c, errors.Join(errs...)
}

func wantCaveat(v *value) (c caveat, err error) {
	if err = wantFields(v, typeCaveat); err != nil {
		return c, err
	}
	if c.id, err = wantSixteen(v.field("Id")); err == nil {
		c.param, err = wantOctets(v.field("ParamVom"))
	}
	return c, err
}

// wantSixteen returns 16 octets. All octets left out are zero.
func wantSixteen(v *value) (sixteen [16]byte, err error) {
	octets, err := wantOctets(v)
	if err == nil && len(octets) != 16 && len(octets) != 0 {
		err = errors.New("an identifier does not have 16 octets")
	}
	copy(sixteen[:], octets)
	return sixteen, err
}

func wantSignature(v *value) (s signature, err error) {
	if err = wantFields(v, typeSignature); err != nil {
		return s, err
	}
	errs := make([]error, 6)
	s.purpose, errs[0] = wantOctets(v.field("Purpose"))
	s.hash, errs[1] = wantString(v.field("Hash"))
	s.r, errs[2] = wantOctets(v.field("R"))
	s.s, errs[3] = wantOctets(v.field("S"))
	s.ed25519, errs[4] = wantOctets(v.field("Ed25519"))
	s.rsa1, errs[5] = wantOctets(v.field("Rsa"))
	return s, errors.Join(errs...)
}

func wantDischarge(v *value) (d discharge, err error) {
	if err = expect(v, kindUnion); err != nil {
		return d, err
	}
	if v.typ.fields[v.number].name != "PublicKey" {
		return d, errors.New("a discharge is of an unknown kind")
	}
	inner := &v.items[0]
	if err = wantFields(inner, typePublicKeyD); err != nil {
		return d, err
	}
	errs := make([]error, 3)
	d.caveatID, errs[0] = wantString(inner.field("ThirdPartyCaveatId"))
	d.caveats, errs[1] = wantList(inner.field("Caveats"), wantCaveat)
	d.signature, errs[2] = wantSignature(inner.field("Signature"))
	return d, errors.Join(errs...)
}

const (
	// firstYear is the count of seconds from the year 1 to 1970.
	firstYear = 62135596800
	// maxSeconds bounds times, so that arithmetic does not overflow.
	maxSeconds = 1 << 50
)

func wantTime(v *value) (time.Time, error) {
	if err := wantFields(v, typeTime); err != nil {
		return time.Time{}, err
	}
	seconds, nanos := v.field("Seconds"), v.field("Nanos")
	if err := errors.Join(expect(seconds, kindSigned), expect(nanos, kindSigned)); err != nil {
		return time.Time{}, err
	}
	if seconds.signed < -maxSeconds || seconds.signed > maxSeconds {
		return time.Time{}, errors.New("a time is out of range")
	}
	return time.Unix(seconds.signed-firstYear, nanos.signed).UTC(), nil
}
