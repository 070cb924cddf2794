package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// refusal is the error of this end when it refuses what the other end sent. The other end is told.
type refusal struct {
	why string
}

func (r *refusal) Error() string {
	return r.why
}

// tornDown is the error when the other end gave up the connection.
type tornDown struct {
	why string
}

func (t *tornDown) Error() string {
	return "the other end gave up: " + t.why
}

// identity is what an end is and whom it trusts.
type identity struct {
	key        *privateKey
	blessings  blessings // none: nameless
	discharges []discharge
	roots      roots
}

// channel is a connection with its state.
type channel struct {
	socket   net.Conn
	timeout  time.Duration
	isDialer bool
	self     *identity
	misdeed  string
	lax      bool // take odd messages that upstream takes

	version      uint64
	binding      []byte
	keyBinding   []byte // what the binding is before version 14
	box          *box
	mtu          uint64
	sharedTokens uint64
	reader       *blessingsReader
	writer       blessingsWriter
	ownKey       uint64 // of the blessings that were sent in the handshake
	ownIsReal    bool   // whether those are the blessings that the end has
	ended        bool
	other        blessings // of another principal, for misdeeds
	peerAuth     []byte    // the message with the other end's signature
	peerFlow1    []byte    // what the other end sent on flow 1 in the handshake
}

// refuse makes the error of this end's own refusal.
func refuse(err error) error {
	return &refusal{err.Error()}
}

// extendDeadline gives the connection the whole timeout again.
func (c *channel) extendDeadline() {
	c.socket.SetDeadline(time.Now().Add(c.timeout))
}

// writeClear writes a frame as it is.
func (c *channel) writeClear(body []byte) error {
	if _, err := c.socket.Write(frame(body)); err != nil {
		return &tornDown{err.Error()}
	}
	return nil
}

// message is a message that can be written.
type message interface{ encode() []byte }

// write writes a message, sealed.
func (c *channel) write(m message) error {
	return c.writeClear(c.box.seal(m.encode()))
}

// readFrame reads a frame. When the other end has closed the connection, the error is a tornDown.
func (c *channel) readFrame() ([]byte, error) {
	body, err := readFrame(c.socket)
	switch {
	case err == nil:
		return body, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errors.New("the other end did not send anything in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(*net.OpError)):
		return nil, &tornDown{"the connection is closed"}
	}
	return nil, refuse(err)
}

// readPlain reads a frame and opens it.
func (c *channel) readPlain() ([]byte, error) {
	body, err := c.readFrame()
	if err != nil {
		return nil, err
	}
	plain, opened := c.box.open(body)
	if opened {
		return plain, nil
	}
	// An end that could not set up the encryption gives up in clear. One sealed frame of 256 begins like that, too, but is no text.
	if body[0] == octetTearDown && c.box.received == 0 && isText(body[1:]) {
		return nil, &tornDown{"in clear: " + string(body[1:])}
	}
	return nil, refuse(errors.New("a frame does not open"))
}

// isText tells whether the octets are printable.
func isText(octets []byte) bool {
	return utf8.Valid(octets) && !strings.ContainsFunc(string(octets), func(r rune) bool { return !unicode.IsPrint(r) })
}

// read reads a message. A TearDown is an error, as is a payload outside of the sealed frames unless the end is lax.
func (c *channel) read() (any, []byte, error) {
	plain, err := c.readPlain()
	if err != nil {
		return nil, nil, err
	}
	m, err := parseMessage(plain)
	if err != nil {
		return nil, nil, refuse(err)
	}
	flags := uint64(0)
	switch m := m.(type) {
	case tearDown:
		return nil, nil, &tornDown{string(m)}
	case *data:
		flags = m.flags
	case *openFlow:
		flags = m.flags
	}
	if flags&flagClearPayload == 0 {
		return m, plain, nil
	}
	if !c.lax {
		return nil, nil, refuse(errors.New("a payload comes unencrypted"))
	}
	payload, err := c.readFrame()
	switch m := m.(type) {
	case *data:
		m.payload = payload
	case *openFlow:
		m.payload = payload
	}
	return m, plain, err
}

// end closes the connection. If this end refused the other, it says so before. It is safe to call it twice.
func (c *channel) end(err error) {
	if c.ended {
		return
	}
	c.ended = true
	defer c.socket.Close()
	var refused *refusal
	if err != nil && !errors.As(err, &refused) {
		return
	}
	text := ""
	if refused != nil {
		text = refused.why
	}
	c.socket.SetDeadline(time.Now().Add(c.timeout))
	body := tearDown(text).encode()
	if c.box != nil {
		body = c.box.seal(body)
	}
	if c.writeClear(body) != nil {
		return
	}
	// The socket is drained so that its closing does not destroy the last message on its way.
	if half, canHalf := c.socket.(interface{ CloseWrite() error }); canHalf && half.CloseWrite() == nil {
		c.socket.SetDeadline(time.Now().Add(min(c.timeout, time.Second)))
		io.Copy(io.Discard, io.LimitReader(c.socket, maxFrame))
	}
}

// names returns the other end's names by its blessings and discharges.
func (c *channel) names(b blessings, discharges []discharge, method string) ([]string, []rejection) {
	return c.self.roots.remoteNames(b, &callContext{
		at: time.Now(), method: method, localNames: c.self.roots.localNames(c.self.blessings), discharges: discharges,
	})
}

// endpoint makes an endpoint string. Names that would break its form are left out.
func endpoint(address, routingID string, names []string) string {
	list := ""
	for _, name := range names {
		if !containsAt(name) {
			if list != "" {
				list += ","
			}
			list += name
		}
	}
	return fmt.Sprintf("@6@tcp@%s@@%s@s@%s@@", address, routingID, list)
}
