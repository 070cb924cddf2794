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
	"sync"
)

// acceptOutcome is what is printed for one connection.
type acceptOutcome struct {
	HandshakeAccepted bool        `json:"handshake_accepted"`
	Version           uint64      `json:"version"`
	PublicKey         string      `json:"public_key"`
	HandshakeNames    []string    `json:"handshake_names"`
	Names             []string    `json:"names"` // on the last flow
	Rejected          []rejection `json:"rejected"`
	Payload           *string     `json:"payload"` // of the last flow that was answered
	Answered          int         `json:"answered"`
	Error             *string     `json:"error"`     // why this end gave up
	TornDown          *string     `json:"torn_down"` // why the other end gave up
}

// acceptCommand accepts connections until it is killed, or as many as asked for.
func acceptCommand(arguments []string, output io.Writer) error {
	flags := flag.NewFlagSet("accept", flag.ExitOnError)
	common := addEndFlags(flags)
	listen := flags.String("listen", "127.0.0.1:0", "HOST:PORT")
	allow := flags.String("allow", "", "patterns of names that may open flows, separated by commas")
	method := flags.String("method", "", "the method of all flows, for Method caveats")
	count := flags.Int("count", 0, "how many connections to accept, 0 for no limit")
	flags.Parse(arguments)
	e, err := common.load("acceptor")
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	fmt.Fprintln(output, "listening", listener.Addr())
	var running sync.WaitGroup
	defer running.Wait()
	var printing sync.Mutex
	for accepted := 0; *count == 0 || accepted < *count; accepted++ {
		socket, err := listener.Accept()
		if err != nil {
			return err
		}
		running.Go(func() {
			outcome := e.accept(socket, strings.Split(*allow, ","), *method)
			printing.Lock()
			defer printing.Unlock()
			json.NewEncoder(output).Encode(outcome)
		})
	}
	return nil
}

// accept serves one connection.
func (e *end) accept(socket net.Conn, allow []string, method string) *acceptOutcome {
	c, err := e.channel(socket, false)
	outcome := &acceptOutcome{HandshakeNames: []string{}, Names: []string{}, Rejected: []rejection{}}
	if err == nil {
		err = outcome.serve(e, c, allow, method)
	}
	c.end(err)
	text := err.Error()
	if torn := new(tornDown); errors.As(err, &torn) {
		outcome.TornDown = &torn.why
	} else {
		outcome.Error = &text
	}
	return outcome
}

// serve does the handshake and serves flows. It ends with an error in any case.
func (o *acceptOutcome) serve(e *end, c *channel, allow []string, method string) error {
	err := c.handshake(e.minVersion, e.maxVersion, true, func(names []string, _ []rejection) error {
		o.HandshakeNames = names
		return nil
	})
	o.Version = c.version
	if err != nil {
		return err
	}
	o.HandshakeAccepted, o.PublicKey = true, hex.EncodeToString(c.reader.owner.der)
	s := newSession(c, method, allow)
	err = s.serve(func(f *flow) {
		payload := string(f.payload)
		o.Payload, o.Answered = &payload, o.Answered+1
	})
	if s.asked != nil {
		o.Names, o.Rejected = s.asked.names, s.asked.rejected
	}
	return err
}

// channel makes a channel of a socket.
func (e *end) channel(socket net.Conn, isDialer bool) (*channel, error) {
	other, err := e.othersBlessings()
	return &channel{socket: socket, timeout: e.timeout, isDialer: isDialer, self: e.self, misdeed: e.misdeed, lax: e.lax, other: other}, err
}
