package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

// roots are the patterns of names which certificates of a key may begin, by the key's encoding.
type roots map[string][]string

// readRoots reads a JSON file.
func readRoots(file string) (roots, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []struct {
		PublicKey string   `json:"public_key"`
		Patterns  []string `json:"patterns"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	known := roots{}
	for _, entry := range list {
		der, err := hex.DecodeString(entry.PublicKey)
		if err != nil {
			return nil, err
		}
		for _, text := range entry.Patterns {
			if err := known.add(der, text); err != nil {
				return nil, err
			}
		}
	}
	return known, nil
}

// add recognizes a key as the root of names that match the pattern.
func (r roots) add(der []byte, text string) error {
	if text == matchAll || !pattern(text).isValid() {
		return fmt.Errorf("the pattern %q is not for roots", text)
	}
	r[string(der)] = append(r[string(der)], text)
	return nil
}

// recognizes tells whether the chain begins with a key that may give its name.
func (r roots) recognizes(c chain) bool {
	return len(c) > 0 && len(c[0].x509) == 0 && anyMatches(r[string(c[0].publicKey)], []string{c.name()})
}

// rejection is a name that was not accepted.
type rejection struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// remoteNames returns the names of the other end that hold in the context, and those that do not. The blessings must be validated.
func (r roots) remoteNames(b blessings, context *callContext) ([]string, []rejection) {
	names, rejected := []string{}, []rejection{}
	if b.isNameless() {
		return names, rejected
	}
	for _, chain := range b {
		if err := r.checkChain(chain, context); err != nil {
			rejected = append(rejected, rejection{chain.name(), err.Error()})
		} else {
			names = append(names, chain.name())
		}
	}
	return names, rejected
}

func (r roots) checkChain(c chain, context *callContext) error {
	if !r.recognizes(c) {
		return fmt.Errorf("the root is not recognized")
	}
	if hasOnlyPart(c.name()) {
		return fmt.Errorf("the name has a part %q", only)
	}
	for _, certificate := range c {
		for _, caveat := range certificate.caveats {
			if err := caveat.check(context); err != nil {
				return err
			}
		}
	}
	return nil
}

// localNames returns the names of this end's own blessings. Caveats do not count for them.
func (r roots) localNames(b blessings) []string {
	names := []string{}
	for _, chain := range b {
		if !b.isNameless() && r.recognizes(chain) {
			names = append(names, chain.name())
		}
	}
	return names
}
