//! TSS2 PEM key files: `-----BEGIN TSS2 PRIVATE KEY-----` (draft-bottomley-tpm2-keys).

use der::{
    DecodePem, EncodePem, EncodeValue, FixedTag, Header, Length, Reader, Sequence, Tag, Writer,
    asn1::{ObjectIdentifier, OctetString},
    pem::{LineEnding, PemLabel},
};
use std::fmt;

/// `id-loadablekey`: the private part is a TPM2B_PRIVATE that the parent loads.
const LOADABLE_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.10.1.3");

/// The largest file that is read, in bytes: real ones are under 2,000.
pub const MAX_KEY_FILE_LEN: usize = 64 * 1024;

const BEGIN: &str = "-----BEGIN TSS2 PRIVATE KEY-----";
const END: &str = "-----END TSS2 PRIVATE KEY-----";

pub(super) const POLICY_PCR: u32 = 0x17f;
pub(super) const POLICY_AUTH_VALUE: u32 = 0x16b;
const POLICY_PASSWORD: u32 = 0x18c;

/// A key that a TPM has wrapped, as OpenSSL's TPM provider, tpm2-tools (`tpm2_load -r`) and go-tpm write and read it.
///
/// The file is not a secret: only the TPM under whose parent the key was wrapped can use it. It still deserves the care of
/// an identity, for whoever holds file and TPM is the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// Which key wraps this one.
    pub parent: Parent,
    /// Whether the key is used without a password. Real files sometimes say so wrongly.
    pub empty_auth: bool,
    /// What must hold for the key to be used, all of it, in this order.
    pub policy: Vec<PolicyCommand>,
    /// For people.
    pub description: Option<String>,
    /// The marshalled TPM2B_PUBLIC, with its two bytes of size.
    pub public: Vec<u8>,
    /// The marshalled TPM2B_PRIVATE, with its two bytes of size: encrypted by the TPM.
    pub private: Vec<u8>,
}

/// The parent of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parent {
    /// The primary key of the TCG's template H-2 (ECC P-256) in a hierarchy, made anew when it is needed.
    Primary(Hierarchy),
    /// A key that stays in the TPM, under a handle from 0x81000000 to 0x81ffffff.
    Persistent(u32),
}

/// A hierarchy of primary keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hierarchy {
    /// TPM_RH_OWNER, where storage keys live.
    Owner,
    /// TPM_RH_NULL, forgotten at every reset.
    Null,
    /// TPM_RH_ENDORSEMENT.
    Endorsement,
    /// TPM_RH_PLATFORM.
    Platform,
}

impl Parent {
    /// The TPM handle that stands in the file.
    #[must_use]
    pub fn handle(self) -> u32 {
        match self {
            Self::Primary(Hierarchy::Owner) => 0x4000_0001,
            Self::Primary(Hierarchy::Null) => 0x4000_0007,
            Self::Primary(Hierarchy::Endorsement) => 0x4000_000b,
            Self::Primary(Hierarchy::Platform) => 0x4000_000c,
            Self::Persistent(handle) => handle,
        }
    }

    /// The parent with this TPM handle.
    ///
    /// # Errors
    /// [`KeyFileError::Parent`] for a handle that is neither a hierarchy nor persistent.
    pub fn from_handle(handle: u32) -> Result<Self, KeyFileError> {
        Ok(match handle {
            // Early writers meant "the owner's primary" by 0.
            0 | 0x4000_0001 => Self::Primary(Hierarchy::Owner),
            0x4000_0007 => Self::Primary(Hierarchy::Null),
            0x4000_000b => Self::Primary(Hierarchy::Endorsement),
            0x4000_000c => Self::Primary(Hierarchy::Platform),
            0x8100_0000..=0x81ff_ffff => Self::Persistent(handle),
            _ => return Err(KeyFileError::Parent(handle)),
        })
    }
}

impl Default for Parent {
    fn default() -> Self {
        Self::Primary(Hierarchy::Owner)
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primary(hierarchy) => write!(
                f,
                "H2 primary of the {} hierarchy",
                match hierarchy {
                    Hierarchy::Owner => "owner",
                    Hierarchy::Null => "null",
                    Hierarchy::Endorsement => "endorsement",
                    Hierarchy::Platform => "platform",
                }
            ),
            Self::Persistent(handle) => write!(f, "persistent handle {handle:#010x}"),
        }
    }
}

/// One command of a key's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyCommand {
    /// TPM2_PolicyPCR: the registers must have these values.
    Pcr {
        /// The digest of the selected registers.
        digest: Vec<u8>,
        /// The marshalled TPML_PCR_SELECTION.
        selection: Vec<u8>,
    },
    /// TPM2_PolicyAuthValue: the password must be known; it proves itself by HMAC and is not sent.
    AuthValue,
}

impl KeyFile {
    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyFileError`]
    pub fn from_pem(pem: &str) -> Result<Self, KeyFileError> {
        if pem.len() > MAX_KEY_FILE_LEN {
            return Err(KeyFileError::TooLong { actual: pem.len() });
        }
        // Text around the armour is no harm; the strict decoder takes none.
        let begin = pem.find("-----BEGIN ").ok_or(KeyFileError::NotPem)?;
        let armoured = pem.get(begin..).unwrap_or_default();
        if !armoured.starts_with(BEGIN) {
            return Err(KeyFileError::OtherKey);
        }
        let armoured = match armoured.find(END) {
            Some(end) => armoured.get(..end + END.len()).unwrap_or(armoured),
            None => armoured,
        };
        let file = TpmKey::from_pem(armoured).map_err(KeyFileError::Encoding)?;
        if file.key_type != LOADABLE_KEY {
            return Err(KeyFileError::KeyType(file.key_type.to_string()));
        }
        if file.rsa_parent.is_some_and(|rsa| rsa.0) {
            return Err(KeyFileError::RsaParent);
        }
        if file.auth_policy.is_some() {
            return Err(KeyFileError::Policy(
                "a signed policy (authPolicy)".to_owned(),
            ));
        }
        for tpm2b in [&file.pubkey, &file.privkey] {
            let bytes = tpm2b.as_bytes();
            let size = bytes
                .first_chunk()
                .map(|size| usize::from(u16::from_be_bytes(*size)));
            if size.is_none_or(|size| size == 0 || size + 2 != bytes.len()) {
                return Err(KeyFileError::Blob);
            }
        }
        Ok(Self {
            parent: Parent::from_handle(file.parent)?,
            empty_auth: file.empty_auth.is_some_and(|empty| empty.0),
            policy: file
                .policy
                .unwrap_or_default()
                .iter()
                .map(PolicyCommand::from_asn1)
                .collect::<Result<_, _>>()?,
            description: file.description,
            public: file.pubkey.as_bytes().to_vec(),
            private: file.privkey.as_bytes().to_vec(),
        })
    }

    /// Writes a key file.
    ///
    /// # Errors
    /// [`KeyFileError::Encoding`] for parts over 2^28 bytes.
    pub fn to_pem(&self) -> Result<String, KeyFileError> {
        let octets = |bytes: &[u8]| OctetString::new(bytes).map_err(KeyFileError::Encoding);
        TpmKey {
            key_type: LOADABLE_KEY,
            empty_auth: self.empty_auth.then_some(BerBoolean(true)),
            policy: if self.policy.is_empty() {
                None
            } else {
                Some(
                    self.policy
                        .iter()
                        .map(PolicyCommand::to_asn1)
                        .collect::<Result<_, _>>()?,
                )
            },
            secret: None,
            auth_policy: None,
            description: self.description.clone(),
            rsa_parent: None,
            parent: self.parent.handle(),
            pubkey: octets(&self.public)?,
            privkey: octets(&self.private)?,
        }
        .to_pem(LineEnding::LF)
        .map_err(KeyFileError::Encoding)
    }
}

impl PolicyCommand {
    fn from_asn1(policy: &TpmPolicy) -> Result<Self, KeyFileError> {
        let body = policy.command_policy.as_bytes();
        match policy.command_code {
            POLICY_PCR => {
                let (size, rest) = body.split_first_chunk().ok_or(KeyFileError::Blob)?;
                let (digest, selection) = rest
                    .split_at_checked(usize::from(u16::from_be_bytes(*size)))
                    .ok_or(KeyFileError::Blob)?;
                Ok(Self::Pcr {
                    digest: digest.to_vec(),
                    selection: selection.to_vec(),
                })
            }
            // A password is proved by HMAC here in either case: both commands reach the same digest.
            POLICY_AUTH_VALUE | POLICY_PASSWORD if body.is_empty() => Ok(Self::AuthValue),
            other => Err(KeyFileError::Policy(format!("policy command {other:#x}"))),
        }
    }

    fn to_asn1(&self) -> Result<TpmPolicy, KeyFileError> {
        let (command_code, body) = match self {
            Self::Pcr { digest, selection } => {
                let size = u16::try_from(digest.len()).map_err(|_| KeyFileError::Blob)?;
                (
                    POLICY_PCR,
                    [&size.to_be_bytes()[..], digest, selection].concat(),
                )
            }
            Self::AuthValue => (POLICY_AUTH_VALUE, Vec::new()),
        };
        Ok(TpmPolicy {
            command_code,
            command_policy: OctetString::new(body).map_err(KeyFileError::Encoding)?,
        })
    }
}

/// Why a key file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// No PEM armour.
    #[error(
        "not a PEM file: it should begin with -----BEGIN TSS2 PRIVATE KEY----- (make one with `chanbind provision`)"
    )]
    NotPem,
    /// PEM of another kind.
    #[error(
        "a PEM file, but not of a TPM key: it should begin with -----BEGIN TSS2 PRIVATE KEY----- (make one with `chanbind provision`)"
    )]
    OtherKey,
    /// More bytes than a key file has.
    #[error("the key file has {actual} bytes: a TSS2 private key has at most {MAX_KEY_FILE_LEN}")]
    TooLong {
        /// Bytes given.
        actual: usize,
    },
    /// The PEM or the DER inside is broken.
    #[error("the key file is damaged ({0}): copy it again from where it was made")]
    Encoding(der::Error),
    /// An importable or sealed key.
    #[error(
        "the key file holds type {0}, which is not a loadable key (2.23.133.10.1.3): load it once with its own tool and save it as a loadable key"
    )]
    KeyType(String),
    /// The parent is neither a hierarchy nor persistent.
    #[error(
        "the key file names parent {0:#010x}: use a key under the H2 primary (0x40000001) or under a persistent handle (0x81......)"
    )]
    Parent(u32),
    /// The parent is the RSA primary H-1.
    #[error(
        "the key file asks for an RSA primary key as parent, which takes a TPM minutes to make: provision the key again under the ECC primary"
    )]
    RsaParent,
    /// A policy that is not supported.
    #[error("the key file asks for {0}: PolicyPCR and PolicyAuthValue are supported")]
    Policy(String),
    /// The TPM's part is not a TPM2B.
    #[error("the key file's TPM structures have wrong sizes: copy it again from where it was made")]
    Blob,
}

/// TPMKey of draft-bottomley-tpm2-keys section 3.
#[derive(Sequence)]
struct TpmKey {
    key_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    empty_auth: Option<BerBoolean>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    policy: Option<Vec<TpmPolicy>>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    secret: Option<OctetString>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    auth_policy: Option<der::Any>,
    #[asn1(context_specific = "4", tag_mode = "EXPLICIT", optional = "true")]
    description: Option<String>,
    #[asn1(context_specific = "5", tag_mode = "EXPLICIT", optional = "true")]
    rsa_parent: Option<BerBoolean>,
    parent: u32,
    pubkey: OctetString,
    privkey: OctetString,
}

impl PemLabel for TpmKey {
    const PEM_LABEL: &'static str = "TSS2 PRIVATE KEY";
}

/// TPMPolicy of draft-bottomley-tpm2-keys section 4.1.
#[derive(Sequence)]
struct TpmPolicy {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    command_code: u32,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    command_policy: OctetString,
}

/// A BOOLEAN as real files have it: tpm2-tools and go-tpm write TRUE as 01, where DER has ff. Written as DER.
#[derive(Clone, Copy)]
struct BerBoolean(bool);

impl FixedTag for BerBoolean {
    const TAG: Tag = Tag::Boolean;
}

impl<'a> der::DecodeValue<'a> for BerBoolean {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        if header.length() != Length::ONE {
            return Err(Tag::Boolean.length_error().into());
        }
        Ok(Self(reader.read_byte()? != 0))
    }
}

impl EncodeValue for BerBoolean {
    fn value_len(&self) -> der::Result<Length> {
        Ok(Length::ONE)
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write_byte(if self.0 { 0xff } else { 0 })
    }
}
