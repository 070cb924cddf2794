package main

import "fmt"

// kind is the kind of a VOM type.
type kind int

// The kinds of VOM types.
const (
	kindBool kind = iota
	kindByte
	kindString
	kindUnsigned
	kindSigned
	kindFloat
	kindEnum
	kindArray
	kindList
	kindSet
	kindMap
	kindStruct
	kindUnion
	kindOptional
	kindUnsupported
)

// vomField is a field of a struct or union.
type vomField struct {
	name string
	typ  *vomType
}

// vomType is a resolved VOM type. A type with a builtin identifier needs no definition.
type vomType struct {
	kind    kind
	name    string
	builtin int64
	base    *vomType // of a named primitive
	key     *vomType
	elem    *vomType
	length  uint64
	labels  []string
	fields  []vomField
}

// Built-in types.
var (
	typeBool       = &vomType{kind: kindBool, builtin: 1}
	typeByte       = &vomType{kind: kindByte, builtin: 2}
	typeString     = &vomType{kind: kindString, builtin: 3}
	typeUint64     = &vomType{kind: kindUnsigned, builtin: 6}
	typeInt32      = &vomType{kind: kindSigned, builtin: 8}
	typeInt64      = &vomType{kind: kindSigned, builtin: 9}
	typeBytes      = &vomType{kind: kindList, builtin: 39, elem: typeByte}
	typeStringList = &vomType{kind: kindList, builtin: 40, elem: typeString}
)

// builtinTypes has the types which every decoder knows. Those of kind kindUnsupported do not occur in the security types.
var builtinTypes = map[int64]*vomType{
	1: typeBool, 2: typeByte, 3: typeString,
	4: {kind: kindUnsigned, builtin: 4}, 5: {kind: kindUnsigned, builtin: 5}, 6: typeUint64,
	7: {kind: kindSigned, builtin: 7}, 8: typeInt32, 9: typeInt64,
	10: {kind: kindFloat, builtin: 10}, 11: {kind: kindFloat, builtin: 11},
	14: {kind: kindUnsupported, builtin: 14}, 15: {kind: kindUnsupported, builtin: 15},
	16: {kind: kindSigned, builtin: 16}, 39: typeBytes, 40: typeStringList,
}

func structOf(name string, fields ...vomField) *vomType {
	return &vomType{kind: kindStruct, name: name, fields: fields}
}

func unionOf(name string, fields ...vomField) *vomType {
	return &vomType{kind: kindUnion, name: name, fields: fields}
}

func listOf(elem *vomType) *vomType {
	return &vomType{kind: kindList, elem: elem}
}

func namedOf(name string, base *vomType) *vomType {
	return &vomType{kind: base.kind, name: name, base: base}
}

// The types of type definitions. The type WireType is a union of the others.
var (
	wireFields = listOf(structOf("", vomField{"Name", typeString}, vomField{"Type", typeUint64}))
	wireType   = unionOf("",
		vomField{"NamedT", structOf("", vomField{"Name", typeString}, vomField{"Base", typeUint64})},
		vomField{"EnumT", structOf("", vomField{"Name", typeString}, vomField{"Labels", typeStringList})},
		vomField{"ArrayT", structOf("", vomField{"Name", typeString}, vomField{"Elem", typeUint64}, vomField{"Len", typeUint64})},
		vomField{"ListT", structOf("", vomField{"Name", typeString}, vomField{"Elem", typeUint64})},
		vomField{"SetT", structOf("", vomField{"Name", typeString}, vomField{"Key", typeUint64})},
		vomField{"MapT", structOf("", vomField{"Name", typeString}, vomField{"Key", typeUint64}, vomField{"Elem", typeUint64})},
		vomField{"StructT", structOf("", vomField{"Name", typeString}, vomField{"Fields", wireFields})},
		vomField{"UnionT", structOf("", vomField{"Name", typeString}, vomField{"Fields", wireFields})},
		vomField{"OptionalT", structOf("", vomField{"Name", typeString}, vomField{"Elem", typeUint64})},
	)
	wireKinds = []kind{0, kindEnum, kindArray, kindList, kindSet, kindMap, kindStruct, kindUnion, kindOptional}
)

// isPrimitive tells whether a message with a value of this type has no length.
func (t *vomType) isPrimitive() bool {
	return t.kind <= kindEnum
}

// String describes the type for error messages.
func (t *vomType) String() string {
	if t.name != "" {
		return t.name
	}
	names := []string{
		"bool", "byte", "string", "unsigned", "signed", "float", "enum", "array", "list", "set", "map", "struct", "union", "optional", "unsupported",
	}
	if t.kind == kindArray || t.kind == kindList {
		return fmt.Sprintf("%s of %s", names[t.kind], t.elem)
	}
	return names[t.kind]
}

// value is a VOM value. What belongs to other kinds is empty.
type value struct {
	typ    *vomType
	number uint64  // bool, byte, unsigned integer, float, index of an enum or union
	signed int64   // signed integer
	octets []byte  // string, list or array of bytes
	items  []value // elements, keys of a set, keys and elements of a map in turn, all fields of a struct, the one field of a union or optional
}

// field returns a field of a struct, or nil if the type does not have the field. A field that was left out has the type alone.
func (v *value) field(name string) *value {
	for i := range v.typ.fields {
		if v.typ.fields[i].name != name {
			continue
		}
		if i >= len(v.items) {
			return &value{typ: v.typ.fields[i].typ}
		}
		return &v.items[i]
	}
	return nil
}
