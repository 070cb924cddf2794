// Command otpclient sends one GET with a one-time password (docs/proofs/OTP.md, form API key), prints the status, and exits with 0
// if it is 200. It uses the standard library only.
package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: otpclient HOST:PORT CA-FILE CLIENT-ID BASE64-KEY PATH")
		os.Exit(2)
	}
	// The key is an argument for brevity only: other users of the host can see it.
	status, err := get(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	if err != nil {
		fmt.Fprintln(os.Stderr, "otpclient:", err)
		os.Exit(2)
	}
	fmt.Println(status)
	if status != http.StatusOK {
		os.Exit(1)
	}
}

func get(target, caFile, client, hmacKey, path string) (int, error) {
	key, err := base64.StdEncoding.DecodeString(hmacKey)
	if err != nil {
		return 0, err
	}
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return 0, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	connection, err := tls.Dial("tcp", target, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13})
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	password, err := oneTimeKey(connection.ConnectionState(), client, key)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequest("GET", "https://"+target+path, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("chanbind-client", client)
	request.Header.Set("chanbind-key", base64.StdEncoding.EncodeToString(password))
	if err := request.Write(connection); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// oneTimeKey derives the key of a client for the purpose api-key.
func oneTimeKey(state tls.ConnectionState, client string, key []byte) ([]byte, error) {
	context := []byte("api-key\x00" + client)
	ekm, err := state.ExportKeyingMaterial("EXPERIMENTAL-chanbind-one-time-key", context, 32)
	if err != nil {
		return nil, err
	}
	input := binary.BigEndian.AppendUint32(nil, 1)
	input = append(input, "chanbind one-time key\x00"...)
	input = append(input, ekm...)
	input = binary.BigEndian.AppendUint32(input, 256)
	mac := hmac.New(sha256.New, key)
	mac.Write(input)
	return mac.Sum(nil), nil
}
