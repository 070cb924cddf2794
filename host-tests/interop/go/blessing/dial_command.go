package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
)

// Exit codes of the dialer.
const (
	exitAnswered        = 0
	exitFailed          = 1
	exitRefusedAcceptor = 3
	exitAcceptorRefused = 4
)

// dialOutcome is what the dialer prints.
type dialOutcome struct {
	HandshakeAccepted bool        `json:"handshake_accepted"`
	Version           uint64      `json:"version"`
	PublicKey         string      `json:"public_key"`
	Names             []string    `json:"names"`
	Rejected          []rejection `json:"rejected"`
	Answer            *string     `json:"answer"`
	RefusedBy         *string     `json:"refused_by"` // dialer or acceptor
	Error             *string     `json:"error"`
}

// dialCommand opens one connection and one flow. It returns the exit code.
func dialCommand(arguments []string, output io.Writer) (int, error) {
	flags := flag.NewFlagSet("dial", flag.ExitOnError)
	common := addEndFlags(flags)
	address := flags.String("addr", "", "HOST:PORT")
	expect := flags.String("expect", "", "patterns of which one must match a name of the acceptor, separated by commas")
	text := flags.String("send", "hello", "payload of the flow")
	asServer := flags.Bool("as-server", false, "send the own blessings in the handshake")
	flags.Parse(arguments)
	e, err := common.load("dialer")
	if err != nil {
		return exitFailed, err
	}
	socket, err := net.DialTimeout("tcp", *address, e.timeout)
	if err != nil {
		return exitFailed, err
	}
	outcome, code := e.dial(socket, strings.Split(*expect, ","), []byte(*text), *asServer)
	return code, json.NewEncoder(output).Encode(outcome)
}

// dial serves the dialer's end of a connection.
func (e *end) dial(socket net.Conn, expect []string, payload []byte, asServer bool) (*dialOutcome, int) {
	c, err := e.channel(socket, true)
	outcome := &dialOutcome{Names: []string{}, Rejected: []rejection{}}
	if err == nil {
		err = outcome.ask(e, c, expect, payload, asServer)
	}
	c.end(err)
	if err == nil {
		return outcome, exitAnswered
	}
	text := err.Error()
	outcome.Error = &text
	refusedBy := func(who string, code int) (*dialOutcome, int) {
		outcome.RefusedBy = &who
		return outcome, code
	}
	switch {
	case errors.As(err, new(*refusal)):
		return refusedBy("dialer", exitRefusedAcceptor)
	case errors.As(err, new(*tornDown)):
		return refusedBy("acceptor", exitAcceptorRefused)
	}
	return outcome, exitFailed
}

// ask does the handshake, opens the flow, and takes the answer.
func (o *dialOutcome) ask(e *end, c *channel, expect []string, payload []byte, asServer bool) error {
	err := c.handshake(e.minVersion, e.maxVersion, asServer, func(names []string, rejected []rejection) error {
		o.Names, o.Rejected = names, rejected
		if !anyMatches(expect, names) {
			return fmt.Errorf("the acceptor's names %q are not expected", names)
		}
		return nil
	})
	o.Version = c.version
	if err != nil {
		return err
	}
	o.HandshakeAccepted, o.PublicKey = true, hex.EncodeToString(c.reader.owner.der)
	answer, err := newSession(c, "", nil).ask(payload)
	if err != nil {
		return err
	}
	text := string(answer)
	o.Answer = &text
	if text != "ok:"+string(payload) {
		return &tornDown{fmt.Sprintf("the answer is %q", text)}
	}
	return nil
}
