package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"unicode/utf8"
)

var (
	extensiveTokenSyntax = regexp.MustCompile(`^([0-9A-Za-z][0-9A-Za-z_-]*|-[0-9A-Za-z][0-9A-Za-z_-]*(\.[0-9A-Za-z][0-9A-Za-z_-]*)+)$`)
	integerSyntax        = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	hexSyntax            = regexp.MustCompile(`^([0-9A-Fa-f]{2})+$`)
)

// parseExtensiveToken returns an extensive-token (RFC 8120 section 3.2.1) in lower case.
func parseExtensiveToken(value string) (string, error) {
	if !extensiveTokenSyntax.MatchString(value) {
		return "", fmt.Errorf("%q is no extensive-token", value)
	}
	return strings.ToLower(value), nil
}

// parseInteger returns an integer (RFC 8120 section 3.2.3) of any size.
func parseInteger(value string) (*big.Int, error) {
	if !integerSyntax.MatchString(value) {
		return nil, fmt.Errorf("%q is no integer", value)
	}
	n, _ := new(big.Int).SetString(value, 10)
	return n, nil
}

// parseHexFixedNumber returns the octets of a hex-fixed-number, in either case.
func parseHexFixedNumber(value string) ([]byte, error) {
	if !hexSyntax.MatchString(value) {
		return nil, fmt.Errorf("%q is no hex-fixed-number", value)
	}
	return hex.DecodeString(value)
}

// parseBase64FixedNumber returns the octets of a base64-fixed-number; it refuses excess or missing padding and pad bits other than zero.
func parseBase64FixedNumber(value string) ([]byte, error) {
	if value == "" || strings.ContainsAny(value, "\r\n") {
		return nil, errors.New("the value is no base64-fixed-number")
	}
	return base64.StdEncoding.Strict().DecodeString(value)
}

// checkString makes the checks of RFC 8120 section 3.2.2.
func checkString(value string) error {
	if !utf8.ValidString(value) {
		return errors.New("the string is not valid UTF-8")
	}
	if strings.HasPrefix(value, "\ufeff") {
		return errors.New("the string starts with a byte order mark")
	}
	return nil
}

func isASCII(value string) bool {
	for i := 0; i < len(value); i++ {
		if value[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
