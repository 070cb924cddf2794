package main

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// realmKey is the triple that distinguishes authentication realms (RFC 8120 section 5).
type realmKey struct{ algorithm, scope, realm string }

// origin is the scheme, host and port of a server; the port is always present.
type origin struct{ scheme, host, port string }

// originOf returns the origin of a URL.
func originOf(target *url.URL) (origin, error) {
	o := origin{scheme: strings.ToLower(target.Scheme), host: strings.ToLower(target.Hostname()), port: target.Port()}
	if strings.Contains(o.host, ":") {
		o.host = "[" + o.host + "]"
	}
	if o.port == "" {
		o.port = map[string]string{"http": "80", "https": "443"}[o.scheme]
	}
	if o.port != "0" {
		o.port = strings.TrimLeft(o.port, "0")
	}
	if o.scheme != "http" && o.scheme != "https" || o.host == "" || o.port == "" {
		return o, errors.New("the URL needs the scheme http or https, and a host")
	}
	return o, nil
}

// validationString is vh of the validation method "host": the port is present even if it is the default one.
func (o origin) validationString() string { return o.scheme + "://" + o.host + ":" + o.port }

// serialization is the ASCII serialization of RFC 6454: the default port is left out.
func (o origin) serialization() string {
	if o.scheme == "http" && o.port == "80" || o.scheme == "https" && o.port == "443" {
		return o.scheme + "://" + o.host
	}
	return o.validationString()
}

// coveredBy returns whether an authentication scope of any of the three types covers the origin.
func (o origin) coveredBy(scope string) bool {
	postfix, wildcard := strings.CutPrefix(scope, "*.")
	if !wildcard {
		return scope == o.host || scope == o.serialization()
	}
	// A postfix of a single label, such as that of "*.com", is assigned to no organization, and an address has no subdomains.
	if !strings.Contains(postfix, ".") || net.ParseIP(strings.Trim(o.host, "[]")) != nil {
		return false
	}
	return o.host == postfix || strings.HasSuffix(o.host, "."+postfix)
}
