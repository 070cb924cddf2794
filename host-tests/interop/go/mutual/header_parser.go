package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// challenge is a challenge or a set of credentials of RFC 7235.
type challenge struct {
	scheme     string
	parameters parameters
	// err says why the challenge has to be refused although the header could be parsed.
	err error
}

// parameter is the value of an auth-param after unquoting.
type parameter struct {
	value    string
	extended bool
}

// parameters maps names in lower case, without the asterisk of RFC 5987, to values.
type parameters map[string]parameter

var errSyntax = errors.New("the header does not follow the syntax of RFC 7235")

// token68Syntax is the token68 of RFC 7235 up to the end of the list element.
var token68Syntax = regexp.MustCompile(`^[0-9A-Za-z._~+/-]+=*[ \t]*(,|$)`)

// parseChallenges parses header lines that are lists of challenges; several lines mean the same as one line with commas.
func parseChallenges(lines []string) ([]challenge, error) {
	scan := &scanner{rest: strings.Join(lines, ", ")}
	var found []challenge
	for scan.skipSeparators(); scan.rest != ""; scan.skipSeparators() {
		mark := scan.rest
		name := scan.token()
		if name == "" {
			return nil, errSyntax
		}
		afterName := scan.rest
		scan.skipSpace()
		if strings.HasPrefix(scan.rest, "=") {
			if len(found) == 0 {
				return nil, errSyntax
			}
			scan.rest = mark
			if err := scan.addParameter(&found[len(found)-1]); err != nil {
				return nil, err
			}
			continue
		}
		found = append(found, challenge{scheme: strings.ToLower(name), parameters: parameters{}})
		if scan.rest == "" || scan.rest[0] == ',' {
			continue
		}
		if scan.rest == afterName {
			return nil, errSyntax
		}
		beforeFirst := scan.rest
		if err := scan.addParameter(&found[len(found)-1]); err != nil {
			token68 := token68Syntax.FindString(beforeFirst)
			if token68 == "" {
				return nil, err
			}
			found[len(found)-1].err = errors.New("the challenge has a token68 instead of parameters")
			scan.rest = strings.TrimPrefix(beforeFirst, strings.TrimSuffix(token68, ","))
		}
	}
	return found, nil
}

// parseParameterList parses a list of auth-params without a scheme, as in Authentication-Info (RFC 7615).
func parseParameterList(lines []string) (parameters, error) {
	scan := &scanner{rest: strings.Join(lines, ", ")}
	list := challenge{parameters: parameters{}}
	for scan.skipSeparators(); scan.rest != ""; scan.skipSeparators() {
		if err := scan.addParameter(&list); err != nil {
			return nil, err
		}
	}
	return list.parameters, list.err
}

// scanner consumes a header value from its front.
type scanner struct{ rest string }

func (s *scanner) skipSpace() { s.rest = strings.TrimLeft(s.rest, " \t") }

func (s *scanner) skipSeparators() { s.rest = strings.TrimLeft(s.rest, " \t,") }

// token consumes a token, which is empty if there is none.
func (s *scanner) token() string {
	end := 0
	for end < len(s.rest) && isTokenCharacter(s.rest[end]) {
		end++
	}
	token := s.rest[:end]
	s.rest = s.rest[end:]
	return token
}

// addParameter consumes one auth-param, with what separates it from the next, and refuses the challenge if it had the parameter already.
func (s *scanner) addParameter(c *challenge) error {
	name := strings.ToLower(s.token())
	s.skipSpace()
	if name == "" || !strings.HasPrefix(s.rest, "=") {
		return errSyntax
	}
	s.rest = s.rest[1:]
	s.skipSpace()
	var value string
	if strings.HasPrefix(s.rest, `"`) {
		unquoted, err := s.quotedString()
		if err != nil {
			return err
		}
		value = unquoted
	} else if value = s.token(); value == "" {
		return errSyntax
	}
	s.skipSpace()
	if s.rest != "" && s.rest[0] != ',' {
		return errSyntax
	}
	base, extended := strings.CutSuffix(name, "*")
	if _, double := c.parameters[base]; double {
		c.err = fmt.Errorf("the parameter %q appears twice", base)
	}
	c.parameters[base] = parameter{value: value, extended: extended}
	return nil
}

// quotedString consumes a quoted-string and returns its content.
func (s *scanner) quotedString() (string, error) {
	var out []byte
	for i := 1; i < len(s.rest); i++ {
		c := s.rest[i]
		switch {
		case c == '"':
			s.rest = s.rest[i+1:]
			return string(out), nil
		case c == '\\' && i+1 < len(s.rest):
			i++
			c = s.rest[i]
		}
		if c != '\t' && (c < ' ' || c == 0x7f) {
			return "", errSyntax
		}
		out = append(out, c)
	}
	return "", errSyntax
}

func isTokenCharacter(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
