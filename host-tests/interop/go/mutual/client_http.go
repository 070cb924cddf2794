package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// networkTimeout limits each exchange, so that a silent peer cannot block the client for ever.
const networkTimeout = 30 * time.Second

// largestBody limits what the client reads of a response.
const largestBody = 1 << 20

// httpClient sends requests for one URL over one connection at a time.
type httpClient struct {
	target  *url.URL
	origin  origin
	address string
	config  *tls.Config
	method  string
	body    string
	expect  bool

	connection net.Conn
	input      *bufio.Reader
	link       link
}

// httpResponse is a response whose body has been read.
type httpResponse struct {
	status int
	header http.Header
	// info holds the lines of Authentication-Info of the response, or of the 100 response before it.
	info []string
	body string
}

// connect opens a connection unless there is one, and returns what the validation methods need of it.
func (c *httpClient) connect() (link, error) {
	if c.connection != nil {
		return c.link, nil
	}
	plain, err := net.DialTimeout("tcp", c.address, networkTimeout)
	if err != nil {
		return link{}, err
	}
	plain.SetDeadline(time.Now().Add(networkTimeout))
	c.link = link{origin: c.origin}
	c.connection = plain
	if c.origin.scheme == "https" {
		secure := tls.Client(plain, c.config)
		if err := secure.Handshake(); err != nil {
			c.close()
			return link{}, err
		}
		state := secure.ConnectionState()
		c.link.state = &state
		c.link.leaf = state.PeerCertificates[0]
		c.connection = secure
	}
	c.input = bufio.NewReader(c.connection)
	return c.link, nil
}

// close ends the connection; the next request opens another one.
func (c *httpClient) close() {
	if c.connection != nil {
		c.connection.Close()
		c.connection = nil
	}
}

// send sends one request on a connection that connect has opened, and reads the response.
func (c *httpClient) send(authorization string) (*httpResponse, error) {
	response, err := c.exchange(authorization)
	if err != nil {
		c.close()
	}
	return response, err
}

func (c *httpClient) exchange(authorization string) (*httpResponse, error) {
	c.connection.SetDeadline(time.Now().Add(networkTimeout))
	if _, err := c.connection.Write(c.requestHead(authorization)); err != nil {
		return nil, err
	}
	waiting := c.expect && c.body != ""
	if !waiting {
		if _, err := io.WriteString(c.connection, c.body); err != nil {
			return nil, err
		}
	}
	request := &http.Request{Method: c.method}
	var interim []string
	for {
		response, err := http.ReadResponse(c.input, request)
		if err != nil {
			return nil, err
		}
		if response.StatusCode == http.StatusContinue {
			interim = response.Header.Values("Authentication-Info")
			if waiting {
				waiting = false
				if _, err := io.WriteString(c.connection, c.body); err != nil {
					return nil, err
				}
			}
			continue
		}
		if response.StatusCode < 200 {
			continue
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, largestBody))
		if err != nil {
			return nil, err
		}
		if response.Close || waiting || len(body) == largestBody {
			// Closing here would make the values of the connection unavailable, so the state in link is kept until connect.
			c.close()
		}
		info := response.Header.Values("Authentication-Info")
		if len(info) == 0 {
			info = interim
		}
		return &httpResponse{status: response.StatusCode, header: response.Header, info: info, body: string(body)}, nil
	}
}

// requestHead returns the request up to the empty line.
func (c *httpClient) requestHead(authorization string) []byte {
	var out bytes.Buffer
	host := c.origin.host + ":" + c.origin.port
	if c.origin.serialization() != c.origin.validationString() {
		host = c.origin.host
	}
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: %s\r\n", c.method, c.target.RequestURI(), host)
	if authorization != "" {
		fmt.Fprintf(&out, "Authorization: %s\r\n", authorization)
	}
	if c.body != "" || strings.HasPrefix(c.method, "P") {
		fmt.Fprintf(&out, "Content-Length: %d\r\n", len(c.body))
	}
	if c.expect && c.body != "" {
		out.WriteString("Expect: 100-continue\r\n")
	}
	out.WriteString("\r\n")
	return out.Bytes()
}
