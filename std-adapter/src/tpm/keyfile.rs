//! Reading and writing of TSS2 PEM key files, `-----BEGIN TSS2 PRIVATE KEY-----` (draft-bottomley-tpm2-keys).

use der::{
    DecodePem, EncodePem, EncodeValue, FixedTag, Header, Length, Reader, Sequence, Tag, Writer,
    asn1::{ObjectIdentifier, OctetString},
    pem::{LineEnding, PemLabel},
};
use std::fmt;

/// `id-loadablekey`: the private part is a TPM2B_PRIVATE that the parent loads.
const LOADABLE_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.10.1.3");

/// The maximum length of a key file, in bytes. Real files have less than 2,000.
pub const MAX_KEY_FILE_LEN: usize = 64 * 1024;

const BEGIN: &str = "-----BEGIN TSS2 PRIVATE KEY-----";
const END: &str = "-----END TSS2 PRIVATE KEY-----";

pub(super) const POLICY_PCR: u32 = 0x17f;
pub(super) const POLICY_AUTH_VALUE: u32 = 0x16b;
const POLICY_PASSWORD: u32 = 0x18c;

/// A key that a TPM has wrapped, in the format that OpenSSL's TPM provider, tpm2-tools (`tpm2_load -r`) and go-tpm read and write.
///
/// The file is not a secret: only the TPM under whose parent the key was wrapped can use it. Protect it like an identity
/// nevertheless, because anyone with access to both the file and the TPM can act as the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// The key that wraps this one.
    pub parent: Parent,
    /// True if the key has no password, according to the file. Real files sometimes set this wrongly.
    pub empty_auth: bool,
    /// The commands of the key's policy, all of which must succeed in this order. Empty if the key has no policy.
    pub policy: Vec<PolicyCommand>,
    /// A description for human readers.
    pub description: Option<String>,
    /// The marshalled TPM2B_PUBLIC, including its two size bytes.
    pub public: Vec<u8>,
    /// The marshalled TPM2B_PRIVATE, including its two size bytes. Its contents are encrypted by the TPM.
    pub private: Vec<u8>,
}

/// The parent key of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parent {
    /// The primary key of the TCG template H-2 (ECC P-256) in a hierarchy. It is created again whenever it is needed.
    Primary(Hierarchy),
    /// A persistent key in the TPM, at a handle from 0x81000000 to 0x81ffffff.
    Persistent(u32),
}

/// A hierarchy of primary keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hierarchy {
    /// TPM_RH_OWNER, the hierarchy of storage keys.
    Owner,
    /// TPM_RH_NULL, whose keys become invalid at every reset.
    Null,
    /// TPM_RH_ENDORSEMENT, the hierarchy of endorsement keys.
    Endorsement,
    /// TPM_RH_PLATFORM, the hierarchy of the platform firmware.
    Platform,
}

impl Parent {
    /// Returns the TPM handle that identifies the parent in a key file.
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

    /// Returns the parent that a TPM handle identifies. The handle 0 stands for the owner hierarchy.
    ///
    /// # Errors
    /// Returns [`KeyFileError::Parent`] if the handle is neither a hierarchy nor persistent.
    pub fn from_handle(handle: u32) -> Result<Self, KeyFileError> {
        Ok(match handle {
            // Early implementations wrote 0 for the owner hierarchy.
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
    /// TPM2_PolicyPCR: the selected platform configuration registers (PCRs) must have the values with this digest.
    Pcr {
        /// The digest of the selected registers' values.
        digest: Vec<u8>,
        /// The marshalled TPML_PCR_SELECTION.
        selection: Vec<u8>,
    },
    /// TPM2_PolicyAuthValue: the password is required. It is proved by an HMAC and is not sent.
    AuthValue,
}

impl KeyFile {
    /// Parses a key file of at most [`MAX_KEY_FILE_LEN`] bytes. Text before and after the PEM block is ignored.
    ///
    /// # Errors
    /// Returns a [`KeyFileError`] if the text is too long, is not PEM with the label `TSS2 PRIVATE KEY`, or is damaged; if the
    /// key is not a loadable key; and if its parent or its policy is not supported.
    pub fn from_pem(pem: &str) -> Result<Self, KeyFileError> {
        if pem.len() > MAX_KEY_FILE_LEN {
            return Err(KeyFileError::TooLong { actual: pem.len() });
        }
        // Files may have text around the PEM block, but the decoder accepts none.
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

    /// Encodes the key as a key file.
    ///
    /// # Errors
    /// Returns [`KeyFileError::Encoding`] if a part is longer than 2^28 bytes, and [`KeyFileError::Blob`] if the digest of a
    /// policy is longer than 65,535 bytes.
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
            // Both commands lead to the same policy digest, so a password can be proved by an HMAC in either case.
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

/// An error in reading or writing a key file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The text is not PEM.
    #[error(
        "not a PEM file: a key file begins with -----BEGIN TSS2 PRIVATE KEY----- (create one with `chanbind provision`)"
    )]
    NotPem,
    /// The PEM label is another one than `TSS2 PRIVATE KEY`.
    #[error(
        "a PEM file, but not of a TPM key: a key file begins with -----BEGIN TSS2 PRIVATE KEY----- (create one with `chanbind provision`)"
    )]
    OtherKey,
    /// The text is longer than [`MAX_KEY_FILE_LEN`].
    #[error("the key file has {actual} bytes: a TSS2 private key has at most {MAX_KEY_FILE_LEN}")]
    TooLong {
        /// The length that was given, in bytes.
        actual: usize,
    },
    /// The PEM or the DER in it is malformed, or a part is too long to be encoded.
    #[error("the key file is damaged ({0}): copy it again from its source")]
    Encoding(der::Error),
    /// The key is not a loadable key, but for example an importable or sealed one. Holds its type's object identifier.
    #[error(
        "the key in the key file has type {0}, which is not a loadable key (2.23.133.10.1.3): load it once with the tool that created it, and save it as a loadable key"
    )]
    KeyType(String),
    /// The parent's handle is neither a hierarchy nor persistent.
    #[error(
        "the parent {0:#010x} in the key file is not supported: use a key under a hierarchy's H2 primary key (such as 0x40000001) or under a persistent handle (0x81......)"
    )]
    Parent(u32),
    /// The parent is the RSA primary key H-1, which is not supported.
    #[error(
        "the key file requires an RSA primary key as parent, which takes a TPM minutes to create: provision the key again under the ECC primary key"
    )]
    RsaParent,
    /// The key's policy is not supported. Holds a description of the unsupported part.
    #[error(
        "the key file requires {0}, which is not supported: use PolicyPCR and PolicyAuthValue only"
    )]
    Policy(String),
    /// A size in one of the TPM structures is wrong.
    #[error(
        "the TPM structures in the key file have wrong sizes: copy the file again from its source"
    )]
    Blob,
}

/// The TPMKey of draft-bottomley-tpm2-keys section 3.
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

/// The TPMPolicy of draft-bottomley-tpm2-keys section 4.1.
#[derive(Sequence)]
struct TpmPolicy {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    command_code: u32,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    command_policy: OctetString,
}

/// A BOOLEAN that accepts every nonzero byte as TRUE, because tpm2-tools and go-tpm write TRUE as 01 where DER requires ff. It is
/// written as DER.
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
