/// TPM_CC: the code of a command (TPM 2.0 Part 2 section 6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CommandCode(pub u32);

macro_rules! codes {
    ($($name:ident = $value:literal, $text:literal, $limit:expr;)*) => {
        #[allow(missing_docs, reason = "the names are those of the specification")]
        impl CommandCode {
            $(pub const $name: Self = Self($value);)*

            /// Returns the name in the specification; `TPM2_?` for a code that this crate has no command for.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    _ => "TPM2_?",
                }
            }

            /// Returns the time in milliseconds after which the command is cancelled. It is at least the duration of the PTP
            /// (short 20, medium 750, long 2000), and longer for commands for which chips are known to exceed their duration.
            #[must_use]
            pub const fn limit_ms(self) -> u32 {
                match self {
                    $(Self::$name => $limit,)*
                    _ => DEFAULT,
                }
            }
        }
    };
}

impl CommandCode {
    /// Returns true if a chip executes the command in failure mode, during a firmware upgrade, or before its self-test (Part 1
    /// sections 10.4 and 12.2). Vendor-specific commands count as such.
    ///
    /// No contexts are flushed before such a command: flushing would fail, and the command that repairs the chip would not be
    /// sent.
    pub(crate) fn is_for_repair(self) -> bool {
        const VENDOR: u32 = 0x2000_0000;
        self.0 & VENDOR != 0
            || matches!(
                self,
                Self::STARTUP
                    | Self::SHUTDOWN
                    | Self::SELF_TEST
                    | Self::GET_TEST_RESULT
                    | Self::GET_CAPABILITY
            )
    }
}

const MEDIUM: u32 = 750;
const LONG: u32 = 2_000;
/// Limit for self-tests, which other commands may have to wait for.
const TEST: u32 = 3_000;
/// Limit for commands that use a private key or write to non-volatile memory.
const DEFAULT: u32 = 120_000;
/// Limit for the creation of keys; some chips need this long for an RSA key.
const CREATE: u32 = 300_000;

codes! {
    EVICT_CONTROL = 0x120, "TPM2_EvictControl", DEFAULT;
    CREATE_PRIMARY = 0x131, "TPM2_CreatePrimary", CREATE;
    DICTIONARY_ATTACK_LOCK_RESET = 0x139, "TPM2_DictionaryAttackLockReset", LONG;
    SEQUENCE_COMPLETE = 0x13e, "TPM2_SequenceComplete", LONG;
    SELF_TEST = 0x143, "TPM2_SelfTest", TEST;
    STARTUP = 0x144, "TPM2_Startup", LONG;
    SHUTDOWN = 0x145, "TPM2_Shutdown", LONG;
    POLICY_SECRET = 0x151, "TPM2_PolicySecret", LONG;
    ECDH_Z_GEN = 0x154, "TPM2_ECDH_ZGen", DEFAULT;
    HMAC = 0x155, "TPM2_HMAC", DEFAULT;
    IMPORT = 0x156, "TPM2_Import", DEFAULT;
    LOAD = 0x157, "TPM2_Load", DEFAULT;
    QUOTE = 0x158, "TPM2_Quote", DEFAULT;
    HMAC_START = 0x15b, "TPM2_HMAC_Start", LONG;
    SEQUENCE_UPDATE = 0x15c, "TPM2_SequenceUpdate", LONG;
    SIGN = 0x15d, "TPM2_Sign", DEFAULT;
    FLUSH_CONTEXT = 0x165, "TPM2_FlushContext", LONG;
    POLICY_AUTH_VALUE = 0x16b, "TPM2_PolicyAuthValue", MEDIUM;
    READ_PUBLIC = 0x173, "TPM2_ReadPublic", LONG;
    START_AUTH_SESSION = 0x176, "TPM2_StartAuthSession", DEFAULT;
    GET_CAPABILITY = 0x17a, "TPM2_GetCapability", LONG;
    GET_RANDOM = 0x17b, "TPM2_GetRandom", LONG;
    GET_TEST_RESULT = 0x17c, "TPM2_GetTestResult", LONG;
    PCR_READ = 0x17e, "TPM2_PCR_Read", LONG;
    POLICY_PCR = 0x17f, "TPM2_PolicyPCR", LONG;
    PCR_EXTEND = 0x182, "TPM2_PCR_Extend", LONG;
}
