#!/usr/bin/python3
"""Sends one GET with a one-time password (docs/proofs/OTP.md, form API key), prints the status, and exits with 0 if it is 200.

usage: otp_client.py HOST:PORT CA-FILE CLIENT-ID BASE64-KEY PATH

Needs pyOpenSSL, Debian's python3-openssl. The key is an argument for brevity only: other users of the host can see it.
"""
import base64, hmac, re, socket, sys
from cryptography.x509 import DNSName, SubjectAlternativeName
from OpenSSL import SSL

target, ca_file, client, hmac_key, path = sys.argv[1:]
host, port = target.rsplit(":", 1)
if not re.fullmatch("[!-~]{1,255}", client):
    sys.exit("a client id has 1 to 255 visible ASCII characters")

context = SSL.Context(SSL.TLS_CLIENT_METHOD)
context.set_min_proto_version(SSL.TLS1_3_VERSION)
context.load_verify_locations(ca_file)
context.set_verify(SSL.VERIFY_PEER)
connection = SSL.Connection(context, socket.create_connection((host, int(port))))
connection.set_tlsext_host_name(host.encode())
connection.set_connect_state()
connection.do_handshake()
# pyOpenSSL verifies the chain of certificates, but not the name.
extensions = connection.get_peer_certificate().to_cryptography().extensions
names = extensions.get_extension_for_class(SubjectAlternativeName).value.get_values_for_type(DNSName)
if host not in names:
    sys.exit(f"the certificate is for {names}, not for {host}")

exporter_context = b"api-key\0" + client.encode()
ekm = connection.export_keying_material(b"EXPERIMENTAL-chanbind-one-time-key", 32, exporter_context)
prf_input = (1).to_bytes(4, "big") + b"chanbind one-time key\0" + ekm + (256).to_bytes(4, "big")
one_time_key = hmac.digest(base64.b64decode(hmac_key), prf_input, "sha256")

request = f"GET {path} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n"
request += f"chanbind-client: {client}\r\nchanbind-key: {base64.b64encode(one_time_key).decode()}\r\n\r\n"
connection.sendall(request.encode())
response = b""
while b"\r\n" not in response:
    response += connection.recv(4096)
status = int(response.split()[1])
print(status)
sys.exit(0 if status == 200 else 1)
