// Command mutual is an implementation of the HTTP Mutual authentication protocol (RFC 8120, RFC 8121) for interoperability tests.
//
// Its arithmetic is not made independent of the values in time, so it must not be used for anything but tests.
// It takes user names and passwords as they are given, without the preparation of RFC 8120 section 9.
package main

import (
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// run executes a sub-command and returns the exit code.
func run(arguments []string) (int, error) {
	const usage = "usage: mutual compute | server | client | register [flags]"
	if len(arguments) == 0 {
		return 2, fmt.Errorf(usage)
	}
	code, rest := 0, arguments[1:]
	var err error
	switch arguments[0] {
	case "compute":
		err = computeCommand(os.Stdin, os.Stdout)
	case "server":
		err = serverCommand(rest, os.Stdout)
	case "client":
		return clientCommand(rest, os.Stdout)
	case "register":
		err = registerCommand(rest, os.Stdout)
	default:
		err = fmt.Errorf(usage)
	}
	if err != nil {
		code = 2
	}
	return code, err
}

// registerCommand prints the hex of J(pi).
func registerCommand(arguments []string, output io.Writer) error {
	flags := flag.NewFlagSet("register", flag.ExitOnError)
	token := flags.String("algorithm", algorithms[0].token, "algorithm")
	realm := flags.String("realm", "", "realm")
	scope := flags.String("auth-scope", "", "authentication scope")
	user := flags.String("user", "", "user name")
	password := flags.String("password", "", "password")
	flags.Parse(arguments)
	a, err := algorithmFor(strings.ToLower(*token))
	if err != nil {
		return err
	}
	j, err := register(a, realmKey{algorithm: a.token, scope: *scope, realm: *realm}, *user, *password)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(output, hex.EncodeToString(a.octets(j)))
	return err
}
