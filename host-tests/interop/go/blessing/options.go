package main

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"
)

// endFlags are the flags which the dialer and the acceptor have in common.
type endFlags struct {
	key, blessings, other, discharges, roots, versions, misdeed *string
	unchecked, lax                                              *bool
	timeout                                                     *time.Duration
}

func addEndFlags(flags *flag.FlagSet) *endFlags {
	return &endFlags{
		key:        flags.String("key", "", "KIND:HEX, the kind being ed25519, p256, p384 or p521"),
		blessings:  flags.String("blessings", "", "hex of the own blessings, without: nameless"),
		discharges: flags.String("discharges", "", "hex of discharges for the own blessings, separated by commas"),
		other:      flags.String("other", "", "hex of another principal's blessings, for misbehaviours"),
		roots:      flags.String("roots", "", "JSON file of recognized roots"),
		versions:   flags.String("versions", "14:14", "MIN:MAX"),
		misdeed:    flags.String("misbehave", "", "name of a misbehaviour"),
		unchecked:  flags.Bool("unchecked", false, "take blessings that are not valid, too"),
		lax:        flags.Bool("lax", false, "take the odd messages that upstream takes (strict misbehaviours)"),
		timeout:    flags.Duration("timeout", 5*time.Second, "how long to wait for the other end"),
	}
}

// end is a configured end.
type end struct {
	self                   *identity
	other                  blessings
	minVersion, maxVersion uint64
	misdeed                string
	timeout                time.Duration
	lax                    bool
}

// load reads what the flags say. The role is dialer or acceptor.
func (f *endFlags) load(role string) (*end, error) {
	e := &end{self: &identity{roots: roots{}}, misdeed: *f.misdeed, timeout: *f.timeout, lax: *f.lax}
	if err := checkMisbehaviour(e.misdeed, role); err != nil {
		return nil, err
	}
	var err error
	if e.self.key, err = parseKeyFlag(*f.key); err != nil {
		return nil, err
	}
	if e.self.blessings, err = parseBlessingsFlag(*f.blessings, *f.unchecked); err != nil {
		return nil, err
	}
	if len(e.self.blessings) > 0 && !*f.unchecked {
		owner, err := e.self.blessings.publicKey()
		if err != nil || string(owner.der) != string(e.self.key.der) {
			return nil, errors.New("the blessings are not for the own key")
		}
	}
	if e.other, err = parseBlessingsFlag(*f.other, true); err != nil {
		return nil, err
	}
	for text := range strings.SplitSeq(*f.discharges, ",") {
		if text == "" {
			continue
		}
		decoded, err := decodeHex(text)
		if err != nil {
			return nil, err
		}
		d, err := wantDischarge(decoded)
		if err != nil {
			return nil, err
		}
		e.self.discharges = append(e.self.discharges, d)
	}
	if *f.roots != "" {
		if e.self.roots, err = readRoots(*f.roots); err != nil {
			return nil, err
		}
	}
	versions := *f.versions
	if e.misdeed == "downgrade" {
		versions = "11:13"
	}
	if _, err := fmt.Sscanf(versions, "%d:%d", &e.minVersion, &e.maxVersion); err != nil {
		return nil, fmt.Errorf("the versions %q are not MIN:MAX", versions)
	}
	return e, nil
}

// decodeHex decodes a VOM value in hex.
func decodeHex(text string) (*value, error) {
	octets, err := hex.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return decodeSingle(octets)
}

// parseBlessingsFlag decodes blessings in hex.
func parseBlessingsFlag(text string, unchecked bool) (blessings, error) {
	if text == "" {
		return nil, nil
	}
	decoded, err := decodeHex(text)
	if err != nil {
		return nil, err
	}
	b, err := wantBlessings(decoded)
	if err == nil && !unchecked {
		err = b.validate()
	}
	return b, err
}

// othersBlessings returns another principal's blessings for misdeeds. If there are none, new ones claim the end's own names.
func (e *end) othersBlessings() (blessings, error) {
	if len(e.other) > 0 {
		return e.other, nil
	}
	key, err := e.self.key.anotherKey()
	if err != nil {
		return nil, err
	}
	name := "other"
	if names := e.self.blessings.names(); len(names) > 0 {
		name = names[0]
	}
	return selfSigned(key, name, nil)
}
