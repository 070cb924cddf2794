package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// recordedEntry is a recorded VOM encoding.
type recordedEntry struct {
	ID              string          `json:"id"`
	Kind            string          `json:"kind"`
	VOM             string          `json:"vom"`
	Accepted        bool            `json:"accepted"`
	ClaimedNames    *string         `json:"claimed_names"`
	ClaimedNamesHex string          `json:"claimed_names_hex"`
	UniqueID        string          `json:"unique_id"`
	PublicKey       string          `json:"public_key"`
	ReencodesEqual  *bool           `json:"reencodes_equal"`
	ThirdPartyIDs   []string        `json:"third_party_ids"`
	Value           json.RawMessage `json:"value"`
}

// recordedCertificate is what is recorded of a certificate.
type recordedCertificate struct {
	Extension *string `json:"extension"`
	PublicKey string  `json:"public_key"`
	Caveats   []struct {
		ID    string `json:"id"`
		Param string `json:"param_vom"`
	} `json:"caveats"`
	SignedMessage string `json:"signed_message"`
	ChainDigest   string `json:"chain_digest"`
}

func TestRecordedEncodings(t *testing.T) {
	var recorded struct {
		Prefix string `json:"blessings_type_prefix"`
		VOM    struct {
			Entries []recordedEntry `json:"entries"`
		} `json:"vom"`
	}
	vectors(t, "vanadium-live.json", &recorded)
	for _, entry := range recorded.VOM.Entries {
		t.Run(entry.ID, func(t *testing.T) {
			if entry.Kind == "discharge" {
				checkRecordedDischarge(t, entry)
				return
			}
			if !strings.HasPrefix(entry.VOM, recorded.Prefix) {
				t.Error("the type definitions are others")
			}
			b, err := decodeBlessings(unhex(t, entry.VOM))
			if (err == nil) != entry.Accepted {
				t.Fatalf("accepted: %v, recorded: %v", err, entry.Accepted)
			}
			if entry.Accepted {
				checkRecordedBlessings(t, entry, b)
			}
		})
	}
}

func checkRecordedBlessings(t *testing.T, entry recordedEntry, b blessings) {
	encoded := hexOf(encodeSingle(blessingsValue(b)))
	if equal := encoded == entry.VOM; entry.ReencodesEqual != nil && equal != *entry.ReencodesEqual {
		t.Errorf("encodes the same again: %v\n%s\n%s", equal, encoded, entry.VOM)
	}
	if len(b) == 0 {
		return
	}
	names := strings.Join(b.names(), ",")
	if entry.ClaimedNames != nil && names != *entry.ClaimedNames || entry.ClaimedNames == nil && hexOf([]byte(names)) != entry.ClaimedNamesHex {
		t.Errorf("names %q", names)
	}
	id, err := b.uniqueID()
	noError(t, err)
	if hexOf(id) != entry.UniqueID {
		t.Errorf("unique id %x", id)
	}
	key, err := b.publicKey()
	noError(t, err)
	if hexOf(key.der) != entry.PublicKey {
		t.Errorf("public key %x", key.der)
	}
	ids := []string{}
	var value [][]recordedCertificate
	noError(t, json.Unmarshal(entry.Value, &value))
	for i, chain := range b {
		contents, digests := chain.digests()
		for j, certificate := range chain {
			want := value[i][j]
			if hexOf(contents[j]) != want.SignedMessage || hexOf(digests[j]) != want.ChainDigest || hexOf(certificate.publicKey) != want.PublicKey {
				t.Errorf("certificate %d of chain %d: digests %x %x", j, i, contents[j], digests[j])
			}
			for k, caveat := range certificate.caveats {
				if hexOf(caveat.id[:]) != want.Caveats[k].ID || hexOf(caveat.param) != want.Caveats[k].Param {
					t.Errorf("caveat %d of certificate %d of chain %d", k, j, i)
				}
				if p, err := caveat.thirdParty(); err == nil {
					id, err := p.dischargeID()
					noError(t, err)
					ids = append(ids, id)
				}
			}
		}
	}
	slices.Sort(ids)
	slices.Sort(entry.ThirdPartyIDs)
	if !slices.Equal(ids, entry.ThirdPartyIDs) {
		t.Errorf("third-party caveats %q", ids)
	}
}

func checkRecordedDischarge(t *testing.T, entry recordedEntry) {
	decoded, err := decodeSingle(unhex(t, entry.VOM))
	noError(t, err)
	d, err := wantDischarge(decoded)
	noError(t, err)
	if encoded := hexOf(encodeSingle(dischargeValue(d))); encoded != entry.VOM {
		t.Errorf("encodes as %s", encoded)
	}
	var value struct {
		ID string `json:"third_party_caveat_id"`
	}
	noError(t, json.Unmarshal(entry.Value, &value))
	if d.caveatID != value.ID {
		t.Errorf("caveat %q", d.caveatID)
	}
}

func TestRecordedCaveats(t *testing.T) {
	var recorded struct {
		Cases []struct {
			What     string `json:"what"`
			Accepted bool   `json:"accepted"`
			Caveat   struct {
				ID         string `json:"id"`
				Param      string `json:"param_vom"`
				ThirdParty *struct {
					ID       string `json:"discharge_id"`
					Location string `json:"location"`
				} `json:"third_party"`
			} `json:"caveat"`
			Context struct {
				Time       time.Time `json:"time"`
				Method     string    `json:"method"`
				Tags       []string  `json:"method_tags"`
				LocalNames []string  `json:"local_names"`
				Discharges []string  `json:"discharges"`
			} `json:"context"`
		} `json:"caveat_cases"`
		Discharges map[string]string `json:"caveat_case_discharges"`
	}
	vectors(t, "vanadium-live.json", &recorded)
	if len(recorded.Cases) == 0 {
		t.Fatal("there are no cases")
	}
	for _, c := range recorded.Cases {
		context := &callContext{at: c.Context.Time, method: c.Context.Method, tags: c.Context.Tags, localNames: c.Context.LocalNames}
		for _, name := range c.Context.Discharges {
			decoded, err := decodeSingle(unhex(t, recorded.Discharges[name]))
			noError(t, err)
			d, err := wantDischarge(decoded)
			noError(t, err)
			context.discharges = append(context.discharges, d)
		}
		tested := caveat{sixteen(c.Caveat.ID), unhex(t, c.Caveat.Param)}
		if err := tested.check(context); (err == nil) != c.Accepted {
			t.Errorf("%s: %v", c.What, err)
		}
		if want := c.Caveat.ThirdParty; want != nil {
			p, err := tested.thirdParty()
			noError(t, err)
			id, err := p.dischargeID()
			noError(t, err)
			if id != want.ID || p.location != want.Location {
				t.Errorf("%s: %q from %q", c.What, id, p.location)
			}
		}
	}
}

func TestRecordedPatterns(t *testing.T) {
	var recorded struct {
		Patterns []struct {
			Pattern pattern  `json:"pattern"`
			Names   []string `json:"names"`
			Valid   bool     `json:"pattern_valid"`
			Match   bool     `json:"match"`
		} `json:"patterns"`
		AccessLists []struct {
			accessList
			Names    []string `json:"names"`
			Includes bool     `json:"includes"`
		} `json:"access_lists"`
		DefaultAuthorizer []struct {
			Local   []string `json:"local_names"`
			Remote  []string `json:"remote_names"`
			Allowed bool     `json:"allowed"`
		} `json:"default_authorizer"`
	}
	vectors(t, "vanadium-live.json", &recorded)
	for _, c := range recorded.Patterns {
		if c.Pattern.isValid() != c.Valid || c.Pattern.matches(c.Names...) != c.Match {
			t.Errorf("%q for %q: valid %v, match %v", c.Pattern, c.Names, c.Pattern.isValid(), c.Pattern.matches(c.Names...))
		}
	}
	for _, c := range recorded.AccessLists {
		if c.includes(c.Names) != c.Includes {
			t.Errorf("%q for %q: includes %v", c.accessList, c.Names, !c.Includes)
		}
	}
	for _, c := range recorded.DefaultAuthorizer {
		if defaultAuthorizer(c.Local, c.Remote) != c.Allowed {
			t.Errorf("local %q, remote %q: allowed %v", c.Local, c.Remote, !c.Allowed)
		}
	}
	if len(recorded.Patterns) == 0 || len(recorded.AccessLists) == 0 || len(recorded.DefaultAuthorizer) == 0 {
		t.Fatal("there are no cases")
	}
}
