// Command blessing is an implementation of part of Vanadium's authentication for interoperability tests: blessings in VOM, caveats, and
// the handshake with one flow after it. It was written from a description of the protocol, not from other code.
//
// It must not be used for anything but tests.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

func main() {
	code, err := run(os.Args[1:], os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "blessing:", err)
	}
	os.Exit(code)
}

// run executes a sub-command and returns the exit code.
func run(arguments []string, input io.Reader, output io.Writer) (int, error) {
	const usage = "usage: blessing show | make | accept | dial | misbehaviours [flags]"
	if len(arguments) == 0 {
		return 2, fmt.Errorf(usage)
	}
	var err error
	switch rest := arguments[1:]; arguments[0] {
	case "show":
		err = showCommand(input, output)
	case "make":
		err = makeCommand(input, output)
	case "accept":
		err = acceptCommand(rest, output)
	case "dial":
		return dialCommand(rest, output)
	case "misbehaviours":
		for _, m := range misbehaviours {
			if err := json.NewEncoder(output).Encode(m); err != nil {
				return 1, err
			}
		}
	default:
		return 2, fmt.Errorf(usage)
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
