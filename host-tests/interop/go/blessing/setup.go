package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Tags of the options of a Setup message.
const (
	optionNaClKey        = 1
	optionRemoteEndpoint = 2
	optionLocalEndpoint  = 3
	optionMTU            = 4
	optionSharedTokens   = 5
)

const (
	defaultMTU          = 65536
	defaultSharedTokens = 1 << 20
	// Versions before the first cannot encrypt, those after the last do not exist.
	firstVersion = 11
	lastVersion  = 14
	// boundVersion is the first version whose binding is of the Setup messages.
	boundVersion = 14
)

// option is an option of a Setup message.
type option struct {
	tag  uint64
	data []byte
}

// setup is a Setup message.
type setup struct {
	min, max                      uint64
	naclKey                       []byte
	remoteEndpoint, localEndpoint string
	mtu, sharedTokens             uint64
	unknown                       []option
}

// parseSetup parses a Setup message, whatever its first octet is. The options may come in any order, but none of the known ones twice.
func parseSetup(plain []byte) (*setup, error) {
	if len(plain) == 0 {
		return nil, errors.New("the Setup is empty")
	}
	input, s := &octetReader{plain[1:]}, new(setup)
	var err error
	if s.min, err = input.unsigned(); err != nil {
		return nil, err
	}
	if s.max, err = input.unsigned(); err != nil {
		return nil, err
	}
	seen := map[uint64]bool{}
	for len(input.rest) > 0 {
		tag, err := input.unsigned()
		if err != nil {
			return nil, err
		}
		content, err := input.octets()
		if err != nil {
			return nil, err
		}
		known := tag >= optionNaClKey && tag <= optionSharedTokens
		if known && seen[tag] {
			return nil, fmt.Errorf("the option %d occurs twice", tag)
		}
		seen[tag] = true
		switch tag {
		case optionNaClKey:
			s.naclKey = content
		case optionRemoteEndpoint:
			s.remoteEndpoint = string(content)
		case optionLocalEndpoint:
			s.localEndpoint = string(content)
		case optionMTU:
			s.mtu, err = wholeInteger(content)
		case optionSharedTokens:
			s.sharedTokens, err = wholeInteger(content)
		default:
			s.unknown = append(s.unknown, option{tag, content})
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

func wholeInteger(content []byte) (uint64, error) {
	inner := &octetReader{content}
	number, err := inner.unsigned()
	if err == nil && len(inner.rest) > 0 {
		err = errors.New("octets follow an integer")
	}
	return number, err
}

// options returns the options in the order in which they are written. Those that are zero are left out.
func (s *setup) options() []option {
	var list []option
	add := func(tag uint64, content []byte, present bool) {
		if present {
			list = append(list, option{tag, content})
		}
	}
	add(optionNaClKey, s.naclKey, slices.ContainsFunc(s.naclKey, func(octet byte) bool { return octet != 0 }))
	add(optionRemoteEndpoint, []byte(s.remoteEndpoint), s.remoteEndpoint != "")
	add(optionLocalEndpoint, []byte(s.localEndpoint), s.localEndpoint != "")
	add(optionMTU, appendUnsigned(nil, s.mtu), s.mtu != 0)
	add(optionSharedTokens, appendUnsigned(nil, s.sharedTokens), s.sharedTokens != 0)
	return append(list, s.unknown...)
}

// encode returns the canonical octets of the message.
func (s *setup) encode() []byte {
	return encodeSetup(appendUnsigned(appendUnsigned(nil, s.min), s.max), s.options())
}

// encodeSetup joins the parts of a Setup message.
func encodeSetup(versions []byte, options []option) []byte {
	to := append([]byte{octetSetup}, versions...)
	for _, o := range options {
		to = appendOctets(appendUnsigned(to, o.tag), o.data)
	}
	return to
}

// chooseVersion returns the version which both ends support.
func chooseVersion(own, peer *setup) (uint64, error) {
	version := min(own.max, peer.max)
	if version < max(own.min, peer.min) || version < firstVersion || version > lastVersion {
		return 0, fmt.Errorf("there is no version between %d:%d and %d:%d", own.min, own.max, peer.min, peer.max)
	}
	return version, nil
}

// bindingOf returns the channel binding value.
func bindingOf(version uint64, dialer, acceptor *setup, dialerOctets, acceptorOctets []byte) []byte {
	if version >= boundVersion {
		return slices.Concat(dialerOctets, acceptorOctets)
	}
	if bytes.Compare(dialer.naclKey, acceptor.naclKey) < 0 {
		return slices.Concat(dialer.naclKey, acceptor.naclKey)
	}
	return slices.Concat(acceptor.naclKey, dialer.naclKey)
}
