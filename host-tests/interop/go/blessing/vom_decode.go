package main

import (
	"errors"
	"fmt"
)

const (
	vomVersion = 0x81
	// maxDepth bounds nested values, and nested types.
	maxDepth = 32
	// maxVOM bounds the octets of one message.
	maxVOM = 1 << 20
	// maxTypes bounds the definitions of one stream.
	maxTypes = 256
)

// vomStream decodes one VOM stream. Its octets may arrive in pieces.
type vomStream struct {
	pending     []byte
	started     bool
	definitions map[int64]value
	resolved    map[int64]*vomType
}

func newVOMStream() *vomStream {
	return &vomStream{definitions: map[int64]value{}, resolved: map[int64]*vomType{}}
}

// decodeSingle decodes the first value of a stream, and ignores what follows.
func decodeSingle(data []byte) (*value, error) {
	stream := newVOMStream()
	stream.write(data)
	return stream.next()
}

// write adds octets to the stream.
func (s *vomStream) write(data []byte) {
	s.pending = append(s.pending, data...)
}

// next returns the next value. The error is errShort while its last octet has not arrived.
func (s *vomStream) next() (*value, error) {
	if !s.started {
		if len(s.pending) == 0 {
			return nil, errShort
		}
		if s.pending[0] != vomVersion {
			return nil, fmt.Errorf("the version octet %02x is unknown", s.pending[0])
		}
		s.started, s.pending = true, s.pending[1:]
	}
	for {
		input := &octetReader{s.pending}
		result, err := s.message(input)
		if err != nil {
			return nil, err
		}
		s.pending = input.rest
		if result != nil {
			return result, nil
		}
	}
}

// message decodes a message. A type definition gives no value.
func (s *vomStream) message(input *octetReader) (*value, error) {
	if len(input.rest) > 0 && input.rest[0] == octetIncomplete {
		input.rest = input.rest[1:]
	}
	id, err := input.signed()
	if err != nil {
		return nil, err
	}
	if id < 0 {
		body, err := s.delimited(input, wireType)
		if err != nil {
			return nil, fmt.Errorf("type %d: %w", -id, err)
		}
		if _, known := s.definitions[-id]; known || -id < 41 || len(s.definitions) == maxTypes {
			return nil, fmt.Errorf("type %d is defined again, or is one too many", -id)
		}
		s.definitions[-id] = *body
		return nil, nil
	}
	typ, err := s.resolve(id, 0)
	if err != nil {
		return nil, err
	}
	if typ.isPrimitive() {
		result, err := decodeValue(input, typ, 0)
		return &result, err
	}
	return s.delimited(input, typ)
}

// delimited decodes a length and a value of exactly this length.
func (s *vomStream) delimited(input *octetReader, typ *vomType) (*value, error) {
	length, err := input.unsigned()
	if err != nil {
		return nil, err
	}
	if length > maxVOM {
		return nil, errors.New("a message is too long")
	}
	body, err := input.take(length)
	if err != nil {
		return nil, err
	}
	inner := &octetReader{body}
	result, err := decodeValue(inner, typ, 0)
	if errors.Is(err, errShort) {
		err = errors.New("a message is longer than its length")
	}
	if err == nil && len(inner.rest) > 0 {
		err = errors.New("a message is shorter than its length")
	}
	return &result, err
}

// resolve returns the type with the identifier.
func (s *vomStream) resolve(id int64, depth int) (*vomType, error) {
	if builtin := builtinTypes[id]; builtin != nil {
		return builtin, nil
	}
	if known := s.resolved[id]; known != nil {
		return known, nil
	}
	definition, defined := s.definitions[id]
	if !defined || depth > maxDepth {
		return nil, fmt.Errorf("type %d is unknown", id)
	}
	body := definition.items[0]
	typ := &vomType{kind: wireKinds[definition.number], name: string(body.field("Name").octets)}
	s.resolved[id] = typ
	if err := s.fill(typ, &body, depth+1); err != nil {
		delete(s.resolved, id)
		return nil, err
	}
	return typ, nil
}

// fill completes a type from its definition.
func (s *vomStream) fill(typ *vomType, body *value, depth int) (err error) {
	reference := func(name string) *vomType {
		field := body.field(name)
		if field == nil || err != nil {
			return nil
		}
		var target *vomType
		target, err = s.resolve(int64(field.number), depth)
		return target
	}
	typ.key, typ.elem, typ.base = reference("Key"), reference("Elem"), reference("Base")
	if typ.base != nil {
		if !typ.base.isPrimitive() {
			return errors.New("a named type is based on a composite type")
		}
		typ.kind = typ.base.kind
	}
	if length := body.field("Len"); length != nil {
		typ.length = length.number
	}
	if labels := body.field("Labels"); labels != nil {
		for _, label := range labels.items {
			typ.labels = append(typ.labels, string(label.octets))
		}
	}
	if fields := body.field("Fields"); fields != nil && err == nil {
		for i := range fields.items {
			target, err := s.resolve(int64(fields.items[i].field("Type").number), depth)
			if err != nil {
				return err
			}
			typ.fields = append(typ.fields, vomField{string(fields.items[i].field("Name").octets), target})
		}
	}
	return err
}

// decodeValue decodes a value without a length before it.
func decodeValue(input *octetReader, typ *vomType, depth int) (result value, err error) {
	result.typ = typ
	if depth > maxDepth {
		return result, errors.New("values are nested too deep")
	}
	switch typ.kind {
	case kindBool, kindByte:
		var octet byte
		octet, err = input.octet()
		result.number = uint64(octet)
		if typ.kind == kindBool && octet > 1 {
			err = fmt.Errorf("the octet %02x is not a bool", octet)
		}
	case kindString:
		result.octets, err = input.octets()
	case kindUnsigned, kindFloat:
		result.number, err = input.unsigned()
	case kindSigned:
		result.signed, err = input.signed()
	case kindEnum:
		if result.number, err = input.unsigned(); err == nil && result.number >= uint64(len(typ.labels)) {
			err = errors.New("an enum value has no label")
		}
	case kindArray, kindList, kindSet, kindMap:
		err = decodeElements(input, &result, depth)
	case kindStruct:
		err = decodeFields(input, &result, depth)
	case kindUnion:
		if result.number, err = input.unsigned(); err != nil {
			return result, err
		}
		if result.number >= uint64(len(typ.fields)) {
			return result, errors.New("a union has no such field")
		}
		var field value
		field, err = decodeValue(input, typ.fields[result.number].typ, depth+1)
		result.items = []value{field}
	case kindOptional:
		if len(input.rest) > 0 && input.rest[0] == octetNil {
			_, err = input.octet()
			return result, err
		}
		var inner value
		inner, err = decodeValue(input, typ.elem, depth+1)
		result.items = []value{inner}
	default:
		err = fmt.Errorf("values of type %s are not supported", typ)
	}
	return result, err
}

// decodeElements decodes the value of an array, list, set or map.
func decodeElements(input *octetReader, result *value, depth int) error {
	typ := result.typ
	count, err := input.unsigned()
	if err != nil {
		return err
	}
	if typ.kind == kindArray {
		if count != 0 {
			return errors.New("the count of an array is not zero")
		}
		count = typ.length
	}
	if typ.elem != nil && typ.elem.kind == kindByte && typ.kind != kindMap {
		result.octets, err = input.take(count)
		return err
	}
	if count > uint64(len(input.rest)) {
		return errShort
	}
	for range count {
		for _, elem := range []*vomType{typ.key, typ.elem} {
			if elem == nil {
				continue
			}
			item, err := decodeValue(input, elem, depth+1)
			if err != nil {
				return err
			}
			result.items = append(result.items, item)
		}
	}
	return nil
}

// decodeFields decodes the fields of a struct. It takes them in any order, but none twice.
func decodeFields(input *octetReader, result *value, depth int) error {
	fields := result.typ.fields
	result.items = make([]value, len(fields))
	for i := range fields {
		result.items[i].typ = fields[i].typ
	}
	seen := make([]bool, len(fields))
	for {
		if len(input.rest) > 0 && input.rest[0] == octetEnd {
			input.rest = input.rest[1:]
			return nil
		}
		index, err := input.unsigned()
		if err != nil {
			return err
		}
		if index >= uint64(len(fields)) || seen[index] {
			return errors.New("a struct has an unknown field, or a field twice")
		}
		seen[index] = true
		if result.items[index], err = decodeValue(input, fields[index].typ, depth+1); err != nil {
			return err
		}
	}
}
