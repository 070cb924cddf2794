package main

import "time"

// structValue makes a struct of the values of all its fields.
func structValue(typ *vomType, items ...value) value {
	return value{typ: typ, items: items}
}

func listValue[T any](typ *vomType, list []T, convert func(T) value) value {
	result := value{typ: typ}
	for _, item := range list {
		result.items = append(result.items, convert(item))
	}
	return result
}

func octetsValue(octets []byte) value {
	return value{typ: typeBytes, octets: octets}
}

func stringValue(text string) value {
	return value{typ: typeString, octets: []byte(text)}
}

func caveatValue(c caveat) value {
	return structValue(typeCaveat, value{typ: typeID, octets: c.id[:]}, octetsValue(c.param))
}

func signatureValue(s signature) value {
	return structValue(typeSignature, octetsValue(s.purpose), value{typ: typeHash, octets: []byte(s.hash)},
		octetsValue(s.r), octetsValue(s.s), octetsValue(s.ed25519), octetsValue(s.rsa1))
}

func certificateValue(c certificate) value {
	return structValue(typeCertificate, stringValue(c.extension), octetsValue(c.publicKey),
		listValue(typeCaveats, c.caveats, caveatValue), octetsValue(c.x509), signatureValue(c.signature))
}

func blessingsValue(b blessings) value {
	chains := typeBlessings.fields[0].typ
	return structValue(typeBlessings, listValue(chains, b, func(c chain) value {
		return listValue(chains.elem, c, certificateValue)
	}))
}

func dischargeValue(d discharge) value {
	inner := structValue(typePublicKeyD, stringValue(d.caveatID), listValue(typeCaveats, d.caveats, caveatValue), signatureValue(d.signature))
	return value{typ: typeDischarge, items: []value{inner}}
}

func timeValue(at time.Time) value {
	return structValue(typeTime, value{typ: typeInt64, signed: at.Unix() + firstYear}, value{typ: typeInt32, signed: int64(at.Nanosecond())})
}

func numberValue(number uint64) value {
	return value{typ: typeUint64, number: number}
}

// flowBlessings makes the element of the flow-1 stream that sends blessings under a key.
func flowBlessings(b blessings, key uint64) value {
	inner := structValue(typeFlowMessage1, blessingsValue(b), numberValue(key))
	return value{typ: typeFlowMessage, number: 0, items: []value{inner}}
}

// flowDischarges makes the element of the flow-1 stream that sends discharges under a key.
func flowDischarges(list []discharge, key, blessingsKey uint64) value {
	discharges := listValue(typeFlowMessage2.fields[0].typ, list, dischargeValue)
	inner := structValue(typeFlowMessage2, discharges, numberValue(key), numberValue(blessingsKey))
	return value{typ: typeFlowMessage, number: 1, items: []value{inner}}
}

// Parameters of the caveats that this program makes.

func constParam(holds bool) []byte {
	result := value{typ: typeBool}
	if holds {
		result.number = 1
	}
	return encodeSingle(result)
}

func timeParam(at time.Time) []byte {
	return encodeSingle(timeValue(at))
}

func methodParam(methods []string) []byte {
	return encodeSingle(listValue(typeStringList, methods, stringValue))
}

func peersParam(patterns []string) []byte {
	return encodeSingle(listValue(typePatternList, patterns, func(pattern string) value {
		return value{typ: typePatternList.elem, octets: []byte(pattern)}
	}))
}
