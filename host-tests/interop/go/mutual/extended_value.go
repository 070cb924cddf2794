package main

import (
	"errors"
	"fmt"
	"strings"
)

// attributeCharacters are the punctuation characters that RFC 5987 leaves unencoded, besides letters and digits.
const attributeCharacters = "!#$&+-.^_`|~"

// encodeExtendedValue returns the ext-value of RFC 5987 section 3.2 with the charset UTF-8 and no language.
func encodeExtendedValue(value string) string {
	var out strings.Builder
	out.WriteString("UTF-8''")
	for i := 0; i < len(value); i++ {
		if isAttributeCharacter(value[i]) {
			out.WriteByte(value[i])
		} else {
			fmt.Fprintf(&out, "%%%02X", value[i])
		}
	}
	return out.String()
}

// decodeExtendedValue is the inverse; it refuses other charsets and any language (RFC 8120 section 3.1).
func decodeExtendedValue(value string) (string, error) {
	charset, rest, ok := strings.Cut(value, "'")
	language, encoded, ok2 := strings.Cut(rest, "'")
	if !ok || !ok2 {
		return "", errors.New("the extended value lacks its quotation marks")
	}
	if !strings.EqualFold(charset, "UTF-8") || language != "" {
		return "", errors.New("the extended value has another charset than UTF-8, or a language")
	}
	var out []byte
	for i := 0; i < len(encoded); i++ {
		if encoded[i] != '%' {
			if !isAttributeCharacter(encoded[i]) {
				return "", errors.New("the extended value contains a character that must be encoded")
			}
			out = append(out, encoded[i])
			continue
		}
		if i+3 > len(encoded) {
			return "", errors.New("the extended value ends within an encoded octet")
		}
		octet, err := parseHexFixedNumber(encoded[i+1 : i+3])
		if err != nil {
			return "", err
		}
		out = append(out, octet...)
		i += 2
	}
	return string(out), checkString(string(out))
}

func isAttributeCharacter(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte(attributeCharacters, c) >= 0
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
