// Command interop is the Go side of chanbind's interoperability tests: servers and clients written with crypto/tls, Vault's kdf,
// go-jose and go-tpm. It does not use any code of chanbind.
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{
		"server": server, "client": client, "token": token, "hmac": tpmHMAC,
		"ea-server": eaServer, "ea-client": eaClient, "ea-vector": eaVector,
		"ea-parse": eaParse,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: interop server|client|token|hmac|ea-server|ea-client|ea-vector|ea-parse [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}
