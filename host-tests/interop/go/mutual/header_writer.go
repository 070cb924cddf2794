package main

import (
	"errors"
	"strings"
)

// quoting says how a writer represents the values.
type quoting int

const (
	// canonical uses the canonical format of each type of value (RFC 8120 section 3.2).
	canonical quoting = iota
	// quotedEverything uses quoted-string for all values.
	quotedEverything
	// unquotedWherePossible uses tokens for all values whose characters allow it.
	unquotedWherePossible
)

// headerWriter collects parameters.
type headerWriter struct {
	style quoting
	parts []string
	err   error
}

// token adds a value whose canonical format is unquoted.
func (w *headerWriter) token(name, value string) {
	w.add(name, value, w.style == quotedEverything)
}

// quoted adds a value whose canonical format is quoted-string.
func (w *headerWriter) quoted(name, value string) {
	w.add(name, value, w.style != unquotedWherePossible || !isToken(value))
}

// text adds a string, in the extended syntax of RFC 5987 if it is not ASCII.
func (w *headerWriter) text(name, value string) {
	if isASCII(value) {
		w.quoted(name, value)
		return
	}
	if err := checkString(value); err != nil {
		w.err = err
	}
	w.parts = append(w.parts, name+"*="+encodeExtendedValue(value))
}

// number adds the value of kc1, ks1, vkc or vks.
func (w *headerWriter) number(a *algorithm, name, value string) {
	if a.base64 {
		w.quoted(name, value)
	} else {
		w.token(name, value)
	}
}

func (w *headerWriter) add(name, value string, inQuotes bool) {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		w.err = errors.New("a control character cannot be sent in a parameter")
	}
	if inQuotes {
		value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	}
	w.parts = append(w.parts, name+"="+value)
}

// list returns the parameters without a scheme.
func (w *headerWriter) list() (string, error) { return strings.Join(w.parts, ", "), w.err }

// mutual returns the parameters with the scheme in front.
func (w *headerWriter) mutual() (string, error) {
	return "Mutual " + strings.Join(w.parts, ", "), w.err
}

func isToken(value string) bool {
	for i := 0; i < len(value); i++ {
		if !isTokenCharacter(value[i]) {
			return false
		}
	}
	return value != ""
}
