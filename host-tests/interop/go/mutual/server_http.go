package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// httpServer speaks HTTP/1.1 on the connections of a listener.
type httpServer struct {
	mutual *mutualServer
	// leaf is the server's certificate, if there is TLS.
	leaf *x509.Certificate
	log  io.Writer

	mutex sync.Mutex
}

// serve answers connections until the listener is closed.
func (h *httpServer) serve(listener net.Listener) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go h.serveConnection(connection)
	}
}

func (h *httpServer) serveConnection(connection net.Conn) {
	defer connection.Close()
	l := link{origin: h.mutual.origin, leaf: h.leaf}
	if secure, ok := connection.(*tls.Conn); ok {
		if secure.Handshake() != nil {
			return
		}
		state := secure.ConnectionState()
		l.state = &state
	}
	input := bufio.NewReader(connection)
	for {
		request, err := http.ReadRequest(input)
		if err != nil {
			return
		}
		if !h.answer(connection, request, l) {
			return
		}
	}
}

// answer answers one request and returns whether the connection can be used for another one.
func (h *httpServer) answer(connection io.Writer, request *http.Request, l link) bool {
	d := h.mutual.decide(request.URL.Path, request.Header.Values("Authorization"), l)
	h.mutex.Lock()
	fmt.Fprintf(h.log, "request %s %s kind=%s answer=%s reason=%s\n", request.Method, request.URL.Path, d.kind, d.answer, d.reason)
	h.mutex.Unlock()

	keep := !request.Close
	if strings.EqualFold(request.Header.Get("Expect"), "100-continue") {
		if d.status < 400 {
			// The 100 response carries Authentication-Info instead of the final one (RFC 8120 section 4.5).
			if _, err := connection.Write(head(100, d.info)); err != nil {
				return false
			}
			d.info = ""
		} else {
			// The client will not send the body, or it will be lost with the connection.
			request.Body = http.NoBody
			keep = false
		}
	}
	if _, err := io.Copy(io.Discard, request.Body); err != nil {
		return false
	}
	response := bytes.NewBuffer(bytes.TrimSuffix(head(d.status, d.info), []byte("\r\n")))
	for _, line := range d.challenges {
		fmt.Fprintf(response, "WWW-Authenticate: %s\r\n", line)
	}
	if !keep {
		response.WriteString("Connection: close\r\n")
	}
	fmt.Fprintf(response, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n", len(d.body))
	if request.Method != http.MethodHead {
		response.WriteString(d.body)
	}
	_, err := connection.Write(response.Bytes())
	return err == nil && keep
}

// head returns a status line, Authentication-Info if there is any, and the empty line.
func head(status int, info string) []byte {
	out := fmt.Sprintf("HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	if info != "" {
		out += "Authentication-Info: " + info + "\r\n"
	}
	return []byte(out + "\r\n")
}
