//! Response codes, TPM_RC (TPM 2.0 Part 2 section 6.6).

use core::fmt;

/// The reason why a TPM rejected a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResponseCode {
    /// A format-one code: a handle, a session or a parameter is invalid.
    FormatOne {
        /// The error.
        code: FormatOneCode,
        /// The handle, session or parameter that is invalid.
        at: Position,
    },
    /// A format-zero error.
    Error(ErrorCode),
    /// A format-zero warning: the command was not executed, but the same command may succeed later.
    Warning(WarningCode),
    /// A format-zero code that the vendor defines: see the chip's data sheet.
    Vendor(u32),
    /// A code that the specification does not define.
    Unknown(u32),
}

/// The handle, session or parameter that a format-one code refers to, counted from 1; 0 if the TPM does not identify it.
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
    /// Decodes a response code other than TPM_RC_SUCCESS.
    #[must_use]
    pub fn new(code: u32) -> Self {
        let [_, _, high, low] = code.to_be_bytes();
        let number = high & 0x0f;
        match code {
            0x1000.. => Self::Unknown(code),
            _ if low & 0x80 != 0 => Self::FormatOne {
                code: FormatOneCode(low & 0x3f),
                at: match (low & 0x40 != 0, number & 0x08 != 0) {
                    (true, _) => Position::Parameter(number),
                    (false, true) => Position::Session(number & 0x07),
                    (false, false) => Position::Handle(number),
                },
            },
            _ if number & 0x04 != 0 => Self::Vendor(code),
            _ => match number {
                0x9 => Self::Warning(WarningCode(low)),
                0x1 => Self::Error(ErrorCode(low)),
                _ => Self::Unknown(code),
            },
        }
    }

    /// Returns true if a chip responds with this code when it has lost its handles and sessions.
    pub(crate) fn indicates_reset(self) -> bool {
        self == Self::Error(ErrorCode::INITIALIZE)
            || matches!(
                self,
                Self::Warning(WarningCode::REFERENCE_H0 | WarningCode::REFERENCE_S0)
            )
            || matches!(
                self,
                Self::FormatOne {
                    code: FormatOneCode::HANDLE,
                    at: Position::Handle(_)
                }
            )
    }
}

impl ResponseCode {
    /// Returns true if the chip works again only after a reset or a power cycle: it is in failure mode, or requests a reboot.
    #[must_use]
    pub fn needs_reset(self) -> bool {
        matches!(self, Self::Error(ErrorCode::FAILURE | ErrorCode::REBOOT))
    }

    /// Returns a remedy, where one is known that does not depend on the command.
    #[must_use]
    pub fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::FormatOne {
                code: FormatOneCode::AUTH_FAIL | FormatOneCode::BAD_AUTH,
                ..
            } => {
                "the password is wrong, or a bit of the command was changed on the bus: try again before you doubt the password"
            }
            Self::FormatOne {
                code: FormatOneCode::INTEGRITY,
                ..
            } => "the blob is damaged, or was created for another TPM: provision again",
            Self::FormatOne {
                code: FormatOneCode::POLICY_FAIL,
                ..
            } => "a condition of the key's policy is not met",
            Self::Error(ErrorCode::FAILURE) => {
                "the TPM is in failure mode: reset it or cycle its power; GetTestResult has the vendor's reason"
            }
            Self::Error(ErrorCode::UPGRADE) => {
                "a firmware upgrade of the TPM is not complete: finish it with the vendor's tool"
            }
            Self::Error(ErrorCode::REBOOT) => {
                "the TPM must be reset before it accepts further commands"
            }
            Self::Error(ErrorCode::NEEDS_TEST) => "the TPM requires a self-test: run SelfTest",
            Self::Error(ErrorCode::AUTH_UNAVAILABLE) => {
                "the key can be used in a policy session only: run the command with one"
            }
            Self::Warning(WarningCode::CANCELED) => {
                "the command took too long and was cancelled: try again"
            }
            Self::Warning(WarningCode::LOCKOUT) => {
                "wrong passwords, or power cuts after the use of a key that is protected against dictionary attacks, were counted: wait, or reset the counter (DictionaryAttackLockReset); provision keys without that protection"
            }
            Self::Warning(
                WarningCode::OBJECT_MEMORY
                | WarningCode::SESSION_MEMORY
                | WarningCode::OBJECT_HANDLES
                | WarningCode::SESSION_HANDLES
                | WarningCode::MEMORY,
            ) => "the TPM is full: drop keys or sessions",
            Self::Warning(
                WarningCode::RETRY
                | WarningCode::YIELDED
                | WarningCode::TESTING
                | WarningCode::NV_RATE,
            ) => "the TPM is busy: try again later",
            _ => return None,
        })
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FormatOne { code, at } => {
                let (kind, number) = match at {
                    Position::Handle(number) => ("handle", number),
                    Position::Session(number) => ("session", number),
                    Position::Parameter(number) => ("parameter", number),
                };
                write!(f, "{}, {kind} {number}", code.name())
            }
            Self::Error(code) => f.write_str(code.name()),
            Self::Warning(code) => f.write_str(code.name()),
            Self::Vendor(code) => write!(f, "vendor-specific response code {code:#05x}"),
            Self::Unknown(code) => write!(f, "unknown response code {code:#05x}"),
        }
    }
}

macro_rules! codes {
    ($(#[$doc:meta])* $kind:ident { $($name:ident = $value:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $kind(pub u8);

        #[allow(missing_docs, reason = "the names are those of the specification")]
        impl $kind {
            $(pub const $name: Self = Self($value);)*

            /// Returns the name in the specification; `TPM_RC_?` for a number that it does not define.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("TPM_RC_", stringify!($name)),)*
                    _ => "TPM_RC_?",
                }
            }
        }
    };
}

codes! {
    /// The error number of a format-one response code, RC_FMT1.
    FormatOneCode {
        ASYMMETRIC = 0x01;
        ATTRIBUTES = 0x02;
        HASH = 0x03;
        VALUE = 0x04;
        HIERARCHY = 0x05;
        KEY_SIZE = 0x07;
        MGF = 0x08;
        MODE = 0x09;
        TYPE = 0x0a;
        HANDLE = 0x0b;
        KDF = 0x0c;
        RANGE = 0x0d;
        AUTH_FAIL = 0x0e;
        NONCE = 0x0f;
        PP = 0x10;
        SCHEME = 0x12;
        SIZE = 0x15;
        SYMMETRIC = 0x16;
        TAG = 0x17;
        SELECTOR = 0x18;
        INSUFFICIENT = 0x1a;
        SIGNATURE = 0x1b;
        KEY = 0x1c;
        POLICY_FAIL = 0x1d;
        INTEGRITY = 0x1f;
        TICKET = 0x20;
        RESERVED_BITS = 0x21;
        BAD_AUTH = 0x22;
        EXPIRED = 0x23;
        POLICY_CC = 0x24;
        BINDING = 0x25;
        CURVE = 0x26;
        ECC_POINT = 0x27;
    }
}

codes! {
    /// The error number of a format-zero response code, RC_VER1.
    ErrorCode {
        INITIALIZE = 0x00;
        FAILURE = 0x01;
        SEQUENCE = 0x03;
        PRIVATE = 0x0b;
        HMAC = 0x19;
        DISABLED = 0x20;
        EXCLUSIVE = 0x21;
        AUTH_TYPE = 0x24;
        AUTH_MISSING = 0x25;
        POLICY = 0x26;
        PCR = 0x27;
        PCR_CHANGED = 0x28;
        UPGRADE = 0x2d;
        TOO_MANY_CONTEXTS = 0x2e;
        AUTH_UNAVAILABLE = 0x2f;
        REBOOT = 0x30;
        UNBALANCED = 0x31;
        COMMAND_SIZE = 0x42;
        COMMAND_CODE = 0x43;
        AUTHSIZE = 0x44;
        AUTH_CONTEXT = 0x45;
        NV_RANGE = 0x46;
        NV_SIZE = 0x47;
        NV_LOCKED = 0x48;
        NV_AUTHORIZATION = 0x49;
        NV_UNINITIALIZED = 0x4a;
        NV_SPACE = 0x4b;
        NV_DEFINED = 0x4c;
        BAD_CONTEXT = 0x50;
        CPHASH = 0x51;
        PARENT = 0x52;
        NEEDS_TEST = 0x53;
        NO_RESULT = 0x54;
        SENSITIVE = 0x55;
    }
}

codes! {
    /// The warning number of a format-zero response code, RC_WARN.
    WarningCode {
        CONTEXT_GAP = 0x01;
        OBJECT_MEMORY = 0x02;
        SESSION_MEMORY = 0x03;
        MEMORY = 0x04;
        SESSION_HANDLES = 0x05;
        OBJECT_HANDLES = 0x06;
        LOCALITY = 0x07;
        YIELDED = 0x08;
        CANCELED = 0x09;
        TESTING = 0x0a;
        REFERENCE_H0 = 0x10;
        REFERENCE_H1 = 0x11;
        REFERENCE_H2 = 0x12;
        REFERENCE_S0 = 0x18;
        REFERENCE_S1 = 0x19;
        REFERENCE_S2 = 0x1a;
        NV_RATE = 0x20;
        LOCKOUT = 0x21;
        RETRY = 0x22;
        NV_UNAVAILABLE = 0x23;
    }
}
