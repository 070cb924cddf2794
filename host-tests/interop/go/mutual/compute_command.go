package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
)

// computeInput is an object that the command compute reads.
type computeInput struct {
	Algorithm string      `json:"algorithm"`
	Scope     string      `json:"auth_scope"`
	Realm     string      `json:"realm"`
	Username  string      `json:"username"`
	Password  string      `json:"password"`
	SC1       string      `json:"S_c1"`
	SS1       string      `json:"S_s1"`
	Nonce     json.Number `json:"nc"`
	VH        string      `json:"vh"`
}

// computeOutput is the object that it writes.
type computeOutput struct {
	Pi      string `json:"pi"`
	J       string `json:"J"`
	KC1     string `json:"K_c1_octets"`
	T1      string `json:"t_1"`
	KS1     string `json:"K_s1_octets"`
	T2      string `json:"t_2"`
	ZClient string `json:"z_octets"`
	ZServer string `json:"z_server_octets"`
	KC1Text string `json:"kc1_param"`
	KS1Text string `json:"ks1_param"`
	VKCText string `json:"vkc_param"`
	VKSText string `json:"vks_param"`
	B1      string `json:"b_1_empty_t"`
	B2      string `json:"b_2_empty_t"`
}

// computeCommand computes all values of exchanges whose secrets are given.
func computeCommand(input io.Reader, output io.Writer) error {
	decoder := json.NewDecoder(input)
	encoder := json.NewEncoder(output)
	for {
		var in computeInput
		if err := decoder.Decode(&in); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		out, err := in.compute()
		if err != nil {
			return err
		}
		if err := encoder.Encode(out); err != nil {
			return err
		}
	}
}

func (in computeInput) compute() (*computeOutput, error) {
	a, err := algorithmFor(strings.ToLower(in.Algorithm))
	if err != nil {
		return nil, err
	}
	clientRandom, ok1 := new(big.Int).SetString(in.SC1, 16)
	serverRandom, ok2 := new(big.Int).SetString(in.SS1, 16)
	nc, err := parseInteger(in.Nonce.String())
	if !ok1 || !ok2 || err != nil {
		return nil, errors.New("S_c1, S_s1 or nc is missing or no number")
	}
	vh, err := hex.DecodeString(in.VH)
	if err != nil {
		return nil, fmt.Errorf("vh: %w", err)
	}
	pi, err := a.derivePi(in.Scope, in.Realm, in.Username, in.Password)
	if err != nil {
		return nil, err
	}
	j, err := a.credential(integer(pi))
	if err != nil {
		return nil, err
	}
	kc1, err := a.clientValue(clientRandom)
	if err != nil {
		return nil, err
	}
	ks1, err := a.serverValue(j, kc1, serverRandom)
	if err != nil {
		return nil, err
	}
	z, err := a.clientSecret(kc1, ks1, clientRandom, integer(pi))
	if err != nil {
		return nil, err
	}
	zServer, err := a.serverSecret(kc1, ks1, serverRandom)
	if err != nil {
		return nil, err
	}
	t := transcript{algorithm: a, kc1: kc1, ks1: ks1, z: z}
	h := hex.EncodeToString
	return &computeOutput{
		Pi: h(pi), J: h(a.octets(j)),
		KC1: h(a.octets(kc1)), T1: h(a.t1(kc1)), KS1: h(a.octets(ks1)), T2: h(a.t2(kc1, ks1)),
		ZClient: h(a.octets(z)), ZServer: h(a.octets(zServer)),
		KC1Text: a.parameter(a.octets(kc1)), KS1Text: a.parameter(a.octets(ks1)),
		VKCText: a.parameter(t.clientVerification(nc, vh)), VKSText: a.parameter(t.serverVerification(nc, vh)),
		B1: h(t.sessionBinding(vh, nil)), B2: h(t.requestBinding(nc, vh, nil)),
	}, nil
}
