package main

import "slices"

// vomWriter encodes one VOM stream with upstream's choice of identifiers: they count from 41 with the outer type first, and the inner
// types are defined first.
type vomWriter struct {
	started bool
	ids     map[*vomType]int64
}

// encodeSingle encodes a stream of one value.
func encodeSingle(v value) []byte {
	return new(vomWriter).encode(v)
}

// encode returns the octets to be added to the stream for the value, with the definitions of types that are new.
func (w *vomWriter) encode(v value) []byte {
	var stream []byte
	if !w.started {
		w.started, w.ids = true, map[*vomType]int64{}
		stream = append(stream, vomVersion)
	}
	stream = w.define(stream, v.typ)
	body := appendValue(nil, v)
	stream = appendSigned(stream, w.id(v.typ))
	if !v.typ.isPrimitive() {
		stream = appendUnsigned(stream, uint64(len(body)))
	}
	return append(stream, body...)
}

func (w *vomWriter) id(typ *vomType) int64 {
	if typ.builtin != 0 {
		return typ.builtin
	}
	return w.ids[typ]
}

// define writes the definition of a type after those of its parts, unless the stream has it.
func (w *vomWriter) define(stream []byte, typ *vomType) []byte {
	if typ == nil || typ.builtin != 0 || w.ids[typ] != 0 {
		return stream
	}
	id := int64(41 + len(w.ids))
	w.ids[typ] = id
	for _, part := range []*vomType{typ.base, typ.key, typ.elem} {
		stream = w.define(stream, part)
	}
	for _, field := range typ.fields {
		stream = w.define(stream, field.typ)
	}
	body := appendValue(nil, w.definition(typ))
	stream = appendUnsigned(appendSigned(stream, -id), uint64(len(body)))
	return append(stream, body...)
}

// definition returns the definition of the type as a value of the type WireType.
func (w *vomWriter) definition(typ *vomType) value {
	index := 0
	if typ.base == nil {
		index = slices.Index(wireKinds, typ.kind)
	}
	body := zeroValue(wireType.fields[index].typ)
	body.field("Name").octets = []byte(typ.name)
	for name, part := range map[string]*vomType{"Base": typ.base, "Key": typ.key, "Elem": typ.elem} {
		if field := body.field(name); field != nil {
			field.number = uint64(w.id(part))
		}
	}
	if field := body.field("Len"); field != nil {
		field.number = typ.length
	}
	if field := body.field("Fields"); field != nil {
		for _, part := range typ.fields {
			entry := zeroValue(wireFields.elem)
			entry.field("Name").octets = []byte(part.name)
			entry.field("Type").number = uint64(w.id(part.typ))
			field.items = append(field.items, entry)
		}
	}
	if field := body.field("Labels"); field != nil {
		for _, label := range typ.labels {
			field.items = append(field.items, value{typ: typeString, octets: []byte(label)})
		}
	}
	return value{typ: wireType, number: uint64(index), items: []value{body}}
}

// isZero tells whether a field with the value is left out.
func (v value) isZero() bool {
	switch v.typ.kind {
	case kindList, kindSet, kindMap, kindString:
		return len(v.items) == 0 && len(v.octets) == 0
	case kindOptional:
		return len(v.items) == 0
	}
	if v.number != 0 || v.signed != 0 || slices.ContainsFunc(v.octets, func(octet byte) bool { return octet != 0 }) {
		return false
	}
	return !slices.ContainsFunc(v.items, func(item value) bool { return !item.isZero() })
}

// appendValue encodes a value without a length before it.
func appendValue(to []byte, v value) []byte {
	switch v.typ.kind {
	case kindBool, kindByte:
		return append(to, byte(v.number))
	case kindString:
		return appendOctets(to, v.octets)
	case kindUnsigned, kindFloat, kindEnum:
		return appendUnsigned(to, v.number)
	case kindSigned:
		return appendSigned(to, v.signed)
	case kindUnion:
		return appendValue(appendUnsigned(to, v.number), v.items[0])
	case kindOptional:
		if len(v.items) == 0 {
			return append(to, octetNil)
		}
		return appendValue(to, v.items[0])
	case kindStruct:
		for i, item := range v.items {
			if !item.isZero() {
				to = appendValue(appendUnsigned(to, uint64(i)), item)
			}
		}
		return append(to, octetEnd)
	}
	switch {
	case v.typ.kind == kindArray:
		to = append(to, 0)
	case v.typ.kind == kindMap:
		to = appendUnsigned(to, uint64(len(v.items)/2))
	case v.typ.elem != nil && v.typ.elem.kind == kindByte:
		to = appendUnsigned(to, uint64(len(v.octets)))
	default:
		to = appendUnsigned(to, uint64(len(v.items)))
	}
	to = append(to, v.octets...)
	for _, item := range v.items {
		to = appendValue(to, item)
	}
	return to
}

// zeroValue returns the zero value of a type, with all its fields.
func zeroValue(typ *vomType) value {
	result := value{typ: typ}
	for _, field := range typ.fields {
		result.items = append(result.items, zeroValue(field.typ))
		if typ.kind == kindUnion {
			break
		}
	}
	if typ.kind == kindArray {
		result.octets = make([]byte, typ.length)
	}
	return result
}
