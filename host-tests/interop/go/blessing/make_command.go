package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// recipe says which blessings to make.
type recipe struct {
	Keys map[string]struct {
		Kind    string `json:"kind"`
		Private string `json:"private"`
	} `json:"keys"`
	Chains [][]recipeCertificate `json:"chains"`
	Sort   bool                  `json:"sort"`      // order the chains as upstream does when it joins blessings
	Loose  bool                  `json:"unchecked"` // make blessings that are not valid, too
}

type recipeCertificate struct {
	Extension string         `json:"extension"`
	Key       string         `json:"key"`
	Caveats   []recipeCaveat `json:"caveats"`
}

type recipeCaveat struct {
	Kind     string   `json:"kind"`
	Unix     int64    `json:"unix"`
	Nanos    int64    `json:"nanos"`
	Methods  []string `json:"methods"`
	Patterns []string `json:"patterns"`
	Value    bool     `json:"value"`
	ID       string   `json:"id"`
	ParamVOM string   `json:"param_vom"`
}

// madeBlessings is what is printed.
type madeBlessings struct {
	VOM      string   `json:"vom"`
	UniqueID string   `json:"unique_id"`
	Names    []string `json:"names"`
}

// makeCommand makes blessings of a recipe.
func makeCommand(input io.Reader, output io.Writer) error {
	decoder := json.NewDecoder(input)
	decoder.DisallowUnknownFields()
	var r recipe
	if err := decoder.Decode(&r); err != nil {
		return err
	}
	b, err := r.make()
	if err != nil {
		return err
	}
	id, err := b.uniqueID()
	if err != nil {
		return err
	}
	return json.NewEncoder(output).Encode(&madeBlessings{hex.EncodeToString(encodeSingle(blessingsValue(b))), hex.EncodeToString(id), b.names()})
}

// make makes the blessings.
func (r *recipe) make() (blessings, error) {
	keys := map[string]*privateKey{}
	for label, entry := range r.Keys {
		secret, err := hex.DecodeString(entry.Private)
		if err != nil {
			return nil, err
		}
		if keys[label], err = parsePrivateKey(entry.Kind, secret); err != nil {
			return nil, err
		}
	}
	var b blessings
	for _, certificates := range r.Chains {
		c, err := makeChain(certificates, keys)
		if err != nil {
			return nil, err
		}
		b = append(b, c)
	}
	if r.Sort {
		b.sort()
	}
	if err := b.validate(); err != nil && !r.Loose {
		return nil, err
	}
	return b, nil
}

// makeChain makes one chain. A single certificate without an extension is nameless.
func makeChain(certificates []recipeCertificate, keys map[string]*privateKey) (chain, error) {
	var c chain
	var signer *privateKey
	for i, wanted := range certificates {
		key := keys[wanted.Key]
		if key == nil {
			return nil, fmt.Errorf("the key %q is unknown", wanted.Key)
		}
		if len(certificates) == 1 && wanted.Extension == "" && len(wanted.Caveats) == 0 {
			return nameless(key.publicKey)[0], nil
		}
		if i == 0 {
			signer = key
		}
		caveats, err := makeCaveats(wanted.Caveats)
		if err != nil {
			return nil, err
		}
		if c, err = c.extend(signer, key.publicKey, wanted.Extension, caveats); err != nil {
			return nil, err
		}
		signer = key
	}
	return c, nil
}

func makeCaveats(wanted []recipeCaveat) ([]caveat, error) {
	var caveats []caveat
	for _, w := range wanted {
		var c caveat
		switch w.Kind {
		case "expiry":
			c = caveat{idExpiry, timeParam(time.Unix(w.Unix, w.Nanos))}
		case "not_before":
			c = caveat{idNotBefore, timeParam(time.Unix(w.Unix, w.Nanos))}
		case "method":
			c = caveat{idMethod, methodParam(w.Methods)}
		case "peers":
			c = caveat{idPeers, peersParam(w.Patterns)}
		case "const":
			c = caveat{idConst, constParam(w.Value)}
		case "raw":
			id, err1 := hex.DecodeString(w.ID)
			param, err2 := hex.DecodeString(w.ParamVOM)
			if err := errors.Join(err1, err2); err != nil || len(id) != len(c.id) {
				return nil, fmt.Errorf("a raw caveat is malformed: %w", errors.Join(err, errors.New("the id has 16 octets")))
			}
			c = caveat{[16]byte(id), param}
		default:
			return nil, fmt.Errorf("caveats of kind %q are unknown", w.Kind)
		}
		caveats = append(caveats, c)
	}
	return caveats, nil
}
