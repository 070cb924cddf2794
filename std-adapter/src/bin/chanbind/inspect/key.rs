//! `inspect key`: prints a TSS2 PEM key file.

use super::line;
use crate::{failure::Failure, provision::PublicPoint, tpm::key_file};
use chanbind::{
    protocol::{
        crypto::sha256,
        wire::{Reader, Truncated},
    },
    tpm::PolicyCommand,
};
use rcgen::PublicKeyData;
use std::{fmt::Write, path::Path};

pub(super) fn key(out: &mut String, path: &Path) -> Result<(), Failure> {
    let file = key_file(path)?;
    writeln!(out, "TSS2 key file, loadable")?;
    line(out, "parent", file.parent);
    if let Some(description) = &file.description {
        line(out, "description", format_args!("{description:?}"));
    }
    line(
        out,
        "password",
        if file.empty_auth {
            "none"
        } else {
            "required, or not specified"
        },
    );
    for command in &file.policy {
        match command {
            PolicyCommand::Pcr { digest, selection } => {
                let (digest, selection) = (hex::encode(digest), hex::encode(selection));
                line(
                    out,
                    "policy",
                    format_args!("PCRs {selection} have digest {digest}"),
                );
            }
            PolicyCommand::AuthValue => line(out, "policy", "the password is proved by HMAC"),
            other => line(out, "policy", format_args!("{other:?}")),
        }
    }
    let area = file.public.get(2..).unwrap_or_default();
    match Public::parse(area) {
        Ok(public) => public.print(out),
        Err(Truncated) => line(out, "type", "unknown: the public area is malformed"),
    }
    if area.get(2..4) == Some(&[0x00, 0x0b]) {
        line(
            out,
            "name",
            format_args!("000b{}", hex::encode(sha256(area))),
        );
    }
    line(
        out,
        "private",
        format_args!(
            "{} bytes, encrypted by the TPM: useless without it",
            file.private.len()
        ),
    );
    Ok(())
}

/// The parts of a public area that are printed: TPMT_PUBLIC (TCG TPM 2.0 Library, Part 2 section 12.2.4).
struct Public {
    kind: Kind,
    attributes: u32,
}

enum Kind {
    /// An HMAC key or sealed data.
    KeyedHash { scheme: Scheme },
    /// An ECC key.
    Ecc {
        scheme: Scheme,
        curve: u16,
        /// The public key, as `04`, x, y.
        point: Vec<u8>,
    },
    /// Another type, by its TPM_ALG_ID.
    Other(u16),
}

/// A signing scheme and its hash. If it is `None`, the command that uses the key chooses the scheme.
type Scheme = Option<(u16, u16)>;

impl Public {
    fn parse(area: &[u8]) -> Result<Self, Truncated> {
        let mut fields = Reader::new(area);
        let kind = fields.u16()?;
        let _name_algorithm = fields.u16()?;
        let attributes = fields.u32()?;
        let _policy = fields.sized16()?;
        let kind = match kind {
            KEYED_HASH => Kind::KeyedHash {
                scheme: scheme(&mut fields)?,
            },
            ECC => {
                if fields.u16()? != NULL {
                    let _key_bits_and_mode = fields.u32()?;
                }
                let scheme = scheme(&mut fields)?;
                let curve = fields.u16()?;
                if fields.u16()? != NULL {
                    let _kdf_hash = fields.u16()?;
                }
                let (x, y) = (fields.sized16()?, fields.sized16()?);
                let point = [&[4], &*coordinate(x), &*coordinate(y)].concat();
                Kind::Ecc {
                    scheme,
                    curve,
                    point,
                }
            }
            other => Kind::Other(other),
        };
        Ok(Self { kind, attributes })
    }

    fn print(&self, out: &mut String) {
        let signs = self.attributes & SIGN_ENCRYPT != 0;
        let restricted = self.attributes & RESTRICTED != 0;
        match &self.kind {
            Kind::KeyedHash { scheme } => match scheme {
                None if !signs => line(out, "type", "keyed hash, sealed data, not a key"),
                None | Some((HMAC, SHA256)) => {
                    line(out, "type", "keyed hash (HMAC with SHA-256)");
                    line(out, "for", "one-time passwords: chanbind connect otp");
                }
                Some((scheme, hash)) => line(
                    out,
                    "type",
                    format_args!(
                        "keyed hash, scheme {scheme:#06x} with hash {hash:#06x}: not used by chanbind"
                    ),
                ),
            },
            Kind::Ecc {
                scheme,
                curve,
                point,
            } => {
                let can_be_used = matches!(scheme, None | Some((ECDSA, SHA256)));
                if *curve != NIST_P256 {
                    let text = format!("ECC on curve {curve:#06x}: not used by chanbind");
                    return line(out, "type", text);
                }
                if signs && !restricted && can_be_used {
                    line(out, "type", "ECC on P-256, signs (ECDSA with SHA-256)");
                    line(out, "for", "authenticators: chanbind connect authenticator");
                } else {
                    line(
                        out,
                        "type",
                        "ECC on P-256, for another use: not used by chanbind",
                    );
                }
                let pin = sha256(&PublicPoint(point).subject_public_key_info());
                line(
                    out,
                    "pin",
                    format_args!("{} (SHA-256 of SubjectPublicKeyInfo)", hex::encode(pin)),
                );
            }
            Kind::Other(0x0001) => line(out, "type", "RSA: not used by chanbind"),
            Kind::Other(0x0025) => line(out, "type", "symmetric cipher: not used by chanbind"),
            Kind::Other(other) => line(out, "type", format_args!("unknown, {other:#06x}")),
        }
    }
}

/// Parses a TPMT_KEYEDHASH_SCHEME or TPMT_ECC_SCHEME whose only parameter is a hash.
fn scheme(fields: &mut Reader<'_>) -> Result<Scheme, Truncated> {
    match fields.u16()? {
        NULL => Ok(None),
        scheme => Ok(Some((scheme, fields.u16()?))),
    }
}

/// Pads a P-256 coordinate to 32 bytes, because TPMs may omit leading zeroes.
fn coordinate(bytes: &[u8]) -> Vec<u8> {
    let zeroes = 32usize.saturating_sub(bytes.len());
    [&vec![0; zeroes], bytes].concat()
}

const KEYED_HASH: u16 = 0x0008;
const ECC: u16 = 0x0023;
const NULL: u16 = 0x0010;
const HMAC: u16 = 0x0005;
const ECDSA: u16 = 0x0018;
const SHA256: u16 = 0x000b;
const NIST_P256: u16 = 0x0003;
const SIGN_ENCRYPT: u32 = 1 << 18;
const RESTRICTED: u32 = 1 << 16;
