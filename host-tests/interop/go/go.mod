module chanbind.invalid/interop

go 1.25.7

require (
	github.com/go-jose/go-jose/v4 v4.1.8
	github.com/google/go-tpm v0.9.8
	github.com/hashicorp/vault/sdk v0.25.1
	golang.org/x/crypto v0.49.0
)

require golang.org/x/sys v0.42.0 // indirect
