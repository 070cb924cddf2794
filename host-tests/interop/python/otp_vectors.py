#!/usr/bin/python3
"""Prints the vectors of docs/proofs/OTP.md: `python3 otp_vectors.py > ../../vectors/otp.json`.

Computes every value from the RFCs alone, with the standard library and, for AES-GCM, the package `cryptography`. Does not use any
code of chanbind.
"""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CLIENT = "client1"
HMAC_KEY = bytes(range(0x20, 0x40))
HASHES = {"SHA-256": "sha256", "SHA-384": "sha384"}
EXPORTER_MASTER_SECRETS = {"SHA-256": bytes(range(32)), "SHA-384": bytes(range(48))}
METHOD, AUTHORITY, PATH = "GET", "gateway.example:8443", "/readings?unit=C"
TIME = 1_700_000_000
LIFETIME = 60
JTI = bytes(range(0xA0, 0xB0))
NONCE = bytes(range(0xC0, 0xCC))

DEFAULT_LABEL = "EXPERIMENTAL-chanbind-one-time-key"


def expand_label(hash_name, secret, label, context, length):
    """HKDF-Expand-Label (RFC 8446 section 7.1), for at most one block of output."""
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label + bytes([len(context)]) + context
    return hmac.digest(secret, info + b"\x01", HASHES[hash_name])[:length]


def export(hash_name, secret, label, context, length):
    """TLS-Exporter (RFC 8446 section 7.5)."""
    digest = lambda data: hashlib.new(HASHES[hash_name], data).digest()
    derived = expand_label(hash_name, secret, label, digest(b""), len(secret))
    return expand_label(hash_name, derived, b"exporter", digest(context), length)


def counter_mode(start, fixed):
    """The PRF input of SP 800-108 counter mode for one block of 256 bits."""
    return start.to_bytes(4, "big") + fixed + (256).to_bytes(4, "big")


def sp800_108(ekm):
    return counter_mode(1, b"chanbind one-time key" + b"\x00" + ekm)


def vault(ekm):
    return counter_mode(0, ekm)


def plain(ekm):
    return ekm


def key(profile, purpose, label, context, layout, hash_name="SHA-256"):
    secret = EXPORTER_MASTER_SECRETS[hash_name]
    ekm = export(hash_name, secret, label.encode(), context, 32)
    prf_input = layout(ekm)
    return {
        "profile": profile,
        "purpose": purpose,
        "hash": hash_name,
        "exporter_label": label.encode().hex(),
        "exporter_context": context.hex(),
        "ekm": ekm.hex(),
        "prf_input": prf_input.hex(),
        "one_time_key": hmac.digest(HMAC_KEY, prf_input, "sha256").hex(),
    }


def default_key(purpose, hash_name="SHA-256"):
    context = purpose.encode() + b"\x00" + CLIENT.encode()
    return key("default", purpose, DEFAULT_LABEL, context, sp800_108, hash_name)


def url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def jws(signing_key, header, claims):
    signing_input = url(header.encode()) + "." + url(claims.encode())
    signature = hmac.digest(signing_key, signing_input.encode(), "sha256")
    return {
        "header": header,
        "claims": claims,
        "signing_input": signing_input,
        "signature": signature.hex(),
        "token": signing_input + "." + url(signature),
    }


def nested(encryption_key, header, inner):
    protected = url(header.encode())
    sealed = AESGCM(encryption_key).encrypt(NONCE, inner["token"].encode(), protected.encode())
    ciphertext, tag = sealed[:-16], sealed[-16:]
    return {
        "inner": inner,
        "header": header,
        "additional_data": protected,
        "nonce": NONCE.hex(),
        "ciphertext": ciphertext.hex(),
        "tag": tag.hex(),
        "token": ".".join([protected, "", url(NONCE), url(ciphertext), url(tag)]),
    }


def api_key(entry, client_field, key_field):
    encoded = base64.b64encode(bytes.fromhex(entry["one_time_key"])).decode()
    return {"fields": [f"{client_field}: {CLIENT}", f"{key_field}: {encoded}"]}


def bearer(token):
    return {"fields": [f"chanbind-client: {CLIENT}", f"authorization: Bearer {token['token']}"]}


api, signing, encryption = map(default_key, ["api-key", "signing", "encryption"])
api_sha384 = default_key("api-key", "SHA-384")
demo_api = key("go-demo-api-key", "api-key", "EXPORTER-my_label", CLIENT.encode(), vault)
demo_signing, demo_encryption = (
    key("go-demo-jwt", purpose, "EXPORTER-Channel-Binding", context, plain)
    for purpose, context in [("signing", b"sig_key"), ("encryption", b"enc_key")]
)
claims = compact(
    {
        "sub": CLIENT,
        "exp": TIME + LIFETIME,
        "iat": TIME,
        "jti": url(JTI),
        "htm": METHOD,
        "htu": "https://" + AUTHORITY + PATH.split("?")[0],
    }
)
signed = jws(
    bytes.fromhex(signing["one_time_key"]),
    compact({"alg": "HS256", "kid": CLIENT, "typ": "JWT"}),
    claims,
)
sealed = nested(
    bytes.fromhex(encryption["one_time_key"]),
    compact({"alg": "dir", "cty": "JWT", "enc": "A256GCM", "kid": CLIENT, "typ": "JWT"}),
    jws(bytes.fromhex(signing["one_time_key"]), compact({"alg": "HS256"}), claims),
)
print(
    json.dumps(
        {
            "source": "host-tests/interop/python/otp_vectors.py: Python's hmac, hashlib, base64 and json, and AES-GCM of pyca/cryptography; written from RFC 8446, RFC 7515 and RFC 7516, without code of chanbind",
            "client": CLIENT,
            "hmac_key": HMAC_KEY.hex(),
            "hmac_key_base64": base64.b64encode(HMAC_KEY).decode(),
            "exporter_master_secret": {
                name: secret.hex() for name, secret in EXPORTER_MASTER_SECRETS.items()
            },
            "keys": [
                api,
                signing,
                encryption,
                api_sha384,
                demo_api,
                demo_signing,
                demo_encryption,
            ],
            "api_key": api_key(api, "chanbind-client", "chanbind-key"),
            "api_key_go_demo": api_key(demo_api, "client", "apikey"),
            "request": {"method": METHOD, "authority": AUTHORITY, "path": PATH},
            "time": TIME,
            "jti": JTI.hex(),
            "jws": signed | bearer(signed),
            "nested": sealed | bearer(sealed),
        },
        indent=1,
    )
)
