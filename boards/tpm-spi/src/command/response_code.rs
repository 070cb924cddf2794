//! TPM_RC (TPM 2.0 Part 2 section 6.6).

use core::fmt;

/// Why a TPM refused a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResponseCode {
    /// Format one: something is wrong with a handle, a session or a parameter.
    FormatOne {
        /// What is wrong.
        code: FormatOneCode,
        /// With which.
        at: Position,
    },
    /// Format zero, an error.
    Error(ErrorCode),
    /// Format zero, a warning: the command was not done, but the same may be done later.
    Warning(WarningCode),
    /// Format zero, the maker's own meaning: see the chip's data sheet.
    Vendor(u32),
    /// A code that the specification does not have.
    Unknown(u32),
}

/// Which of its kind a format-one code is about, from 1 on; 0 says that the TPM does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Position {
    /// A handle.
    Handle(u8),
    /// A session of the authorization area.
    Session(u8),
    /// A parameter.
    Parameter(u8),
}

impl ResponseCode {
    /// The meaning of a code that is not TPM_RC_SUCCESS.
    #[must_use]
    pub fn new(code: u32) -> Self {
        let low = code.to_be_bytes()[3];
        let number = code.to_be_bytes()[2] & 0x0f;
        if code > 0xfff {
            return Self::Unknown(code);
        }
        if code & 0x080 != 0 {
            let Some(format_one) = FormatOneCode::new(low & 0x3f) else {
                return Self::Unknown(code);
            };
            let at = match (code & 0x040 != 0, number & 0x08 != 0) {
                (true, _) => Position::Parameter(number),
                (false, true) => Position::Session(number & 0x07),
                (false, false) => Position::Handle(number),
            };
            return Self::FormatOne {
                code: format_one,
                at,
            };
        }
        if code & 0x400 != 0 {
            return Self::Vendor(code);
        }
        let number = low & 0x7f;
        let known = match code & 0xf80 {
            0x900 => WarningCode::new(number).map(Self::Warning),
            0x100 => ErrorCode::new(number).map(Self::Error),
            _ => None,
        };
        known.unwrap_or(Self::Unknown(code))
    }

    /// Whether the chip asks to be asked again, as it is busy or testing itself (Part 3 section 5.5 and 10.1).
    pub(crate) fn is_try_again(self) -> bool {
        matches!(
            self,
            Self::Warning(
                WarningCode::Retry
                    | WarningCode::Yielded
                    | WarningCode::Testing
                    | WarningCode::NvRate
            )
        )
    }

    /// Whether this is what a chip says whose handles and sessions are gone.
    pub(crate) fn tells_of_reset(self) -> bool {
        self == Self::Error(ErrorCode::Initialize)
            || matches!(
                self,
                Self::Warning(WarningCode::ReferenceH0 | WarningCode::ReferenceS0)
            )
            || matches!(
                self,
                Self::FormatOne {
                    code: FormatOneCode::Handle,
                    at: Position::Handle(_)
                }
            )
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FormatOne { code, at } => {
                let (what, number) = match at {
                    Position::Handle(number) => ("handle", number),
                    Position::Session(number) => ("session", number),
                    Position::Parameter(number) => ("parameter", number),
                };
                write!(f, "{}, {what} {number}", code.name())
            }
            Self::Error(code) => f.write_str(code.name()),
            Self::Warning(code) => f.write_str(code.name()),
            Self::Vendor(code) => write!(f, "the maker's response code {code:#05x}"),
            Self::Unknown(code) => write!(f, "unknown response code {code:#05x}"),
        }
    }
}

macro_rules! codes {
    ($(#[$doc:meta])* $kind:ident { $($name:ident = $value:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[allow(missing_docs, reason = "the names are the specification's")]
        #[non_exhaustive]
        pub enum $kind {
            $($name,)*
        }

        impl $kind {
            fn new(number: u8) -> Option<Self> {
                Some(match number {
                    $($value => Self::$name,)*
                    _ => return None,
                })
            }

            /// The specification's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// RC_FMT1
    FormatOneCode {
        Asymmetric = 0x01, "TPM_RC_ASYMMETRIC";
        Attributes = 0x02, "TPM_RC_ATTRIBUTES";
        Hash = 0x03, "TPM_RC_HASH";
        Value = 0x04, "TPM_RC_VALUE";
        Hierarchy = 0x05, "TPM_RC_HIERARCHY";
        KeySize = 0x07, "TPM_RC_KEY_SIZE";
        Mgf = 0x08, "TPM_RC_MGF";
        Mode = 0x09, "TPM_RC_MODE";
        Type = 0x0a, "TPM_RC_TYPE";
        Handle = 0x0b, "TPM_RC_HANDLE";
        Kdf = 0x0c, "TPM_RC_KDF";
        Range = 0x0d, "TPM_RC_RANGE";
        AuthFail = 0x0e, "TPM_RC_AUTH_FAIL";
        Nonce = 0x0f, "TPM_RC_NONCE";
        Pp = 0x10, "TPM_RC_PP";
        Scheme = 0x12, "TPM_RC_SCHEME";
        Size = 0x15, "TPM_RC_SIZE";
        Symmetric = 0x16, "TPM_RC_SYMMETRIC";
        Tag = 0x17, "TPM_RC_TAG";
        Selector = 0x18, "TPM_RC_SELECTOR";
        Insufficient = 0x1a, "TPM_RC_INSUFFICIENT";
        Signature = 0x1b, "TPM_RC_SIGNATURE";
        Key = 0x1c, "TPM_RC_KEY";
        PolicyFail = 0x1d, "TPM_RC_POLICY_FAIL";
        Integrity = 0x1f, "TPM_RC_INTEGRITY";
        Ticket = 0x20, "TPM_RC_TICKET";
        ReservedBits = 0x21, "TPM_RC_RESERVED_BITS";
        BadAuth = 0x22, "TPM_RC_BAD_AUTH";
        Expired = 0x23, "TPM_RC_EXPIRED";
        PolicyCc = 0x24, "TPM_RC_POLICY_CC";
        Binding = 0x25, "TPM_RC_BINDING";
        Curve = 0x26, "TPM_RC_CURVE";
        EccPoint = 0x27, "TPM_RC_ECC_POINT";
    }
}

codes! {
    /// RC_VER1
    ErrorCode {
        Initialize = 0x00, "TPM_RC_INITIALIZE";
        Failure = 0x01, "TPM_RC_FAILURE";
        Sequence = 0x03, "TPM_RC_SEQUENCE";
        Private = 0x0b, "TPM_RC_PRIVATE";
        Hmac = 0x19, "TPM_RC_HMAC";
        Disabled = 0x20, "TPM_RC_DISABLED";
        Exclusive = 0x21, "TPM_RC_EXCLUSIVE";
        AuthType = 0x24, "TPM_RC_AUTH_TYPE";
        AuthMissing = 0x25, "TPM_RC_AUTH_MISSING";
        Policy = 0x26, "TPM_RC_POLICY";
        Pcr = 0x27, "TPM_RC_PCR";
        PcrChanged = 0x28, "TPM_RC_PCR_CHANGED";
        Upgrade = 0x2d, "TPM_RC_UPGRADE";
        TooManyContexts = 0x2e, "TPM_RC_TOO_MANY_CONTEXTS";
        AuthUnavailable = 0x2f, "TPM_RC_AUTH_UNAVAILABLE";
        Reboot = 0x30, "TPM_RC_REBOOT";
        Unbalanced = 0x31, "TPM_RC_UNBALANCED";
        CommandSize = 0x42, "TPM_RC_COMMAND_SIZE";
        CommandCode = 0x43, "TPM_RC_COMMAND_CODE";
        AuthSize = 0x44, "TPM_RC_AUTHSIZE";
        AuthContext = 0x45, "TPM_RC_AUTH_CONTEXT";
        NvRange = 0x46, "TPM_RC_NV_RANGE";
        NvSize = 0x47, "TPM_RC_NV_SIZE";
        NvLocked = 0x48, "TPM_RC_NV_LOCKED";
        NvAuthorization = 0x49, "TPM_RC_NV_AUTHORIZATION";
        NvUninitialized = 0x4a, "TPM_RC_NV_UNINITIALIZED";
        NvSpace = 0x4b, "TPM_RC_NV_SPACE";
        NvDefined = 0x4c, "TPM_RC_NV_DEFINED";
        BadContext = 0x50, "TPM_RC_BAD_CONTEXT";
        CpHash = 0x51, "TPM_RC_CPHASH";
        Parent = 0x52, "TPM_RC_PARENT";
        NeedsTest = 0x53, "TPM_RC_NEEDS_TEST";
        NoResult = 0x54, "TPM_RC_NO_RESULT";
        Sensitive = 0x55, "TPM_RC_SENSITIVE";
    }
}

codes! {
    /// RC_WARN
    WarningCode {
        ContextGap = 0x01, "TPM_RC_CONTEXT_GAP";
        ObjectMemory = 0x02, "TPM_RC_OBJECT_MEMORY";
        SessionMemory = 0x03, "TPM_RC_SESSION_MEMORY";
        Memory = 0x04, "TPM_RC_MEMORY";
        SessionHandles = 0x05, "TPM_RC_SESSION_HANDLES";
        ObjectHandles = 0x06, "TPM_RC_OBJECT_HANDLES";
        Locality = 0x07, "TPM_RC_LOCALITY";
        Yielded = 0x08, "TPM_RC_YIELDED";
        Canceled = 0x09, "TPM_RC_CANCELED";
        Testing = 0x0a, "TPM_RC_TESTING";
        ReferenceH0 = 0x10, "TPM_RC_REFERENCE_H0";
        ReferenceH1 = 0x11, "TPM_RC_REFERENCE_H1";
        ReferenceH2 = 0x12, "TPM_RC_REFERENCE_H2";
        ReferenceS0 = 0x18, "TPM_RC_REFERENCE_S0";
        ReferenceS1 = 0x19, "TPM_RC_REFERENCE_S1";
        ReferenceS2 = 0x1a, "TPM_RC_REFERENCE_S2";
        NvRate = 0x20, "TPM_RC_NV_RATE";
        Lockout = 0x21, "TPM_RC_LOCKOUT";
        Retry = 0x22, "TPM_RC_RETRY";
        NvUnavailable = 0x23, "TPM_RC_NV_UNAVAILABLE";
    }
}
