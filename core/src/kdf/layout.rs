/// The layout of the PRF's input in a derivation. The named layouts are those that existing systems use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout<'a> {
    /// PRF(input), truncated to the requested length: at most one block.
    Hmac,
    /// SP 800-108 counter mode with the counter before the fixed input: block i is PRF(counter || fixed input).
    Counter {
        /// The width and first value of the counter, and the presence of the length field.
        mode: CounterMode,
        /// The format of the fixed input.
        fixed: FixedInput<'a>,
    },
}

impl<'a> Layout<'a> {
    /// The counter mode of HashiCorp Vault: be32(i) || input || be32(bits), where i starts at 0.
    pub const VAULT: Self = Self::Counter {
        mode: CounterMode {
            width: CounterWidth::Bits32,
            start: 0,
            length_field: true,
        },
        fixed: FixedInput::Raw,
    };

    /// Creates the usual layout of SP 800-108, which the tpm-kdf library uses: be32(i) || label || 00 || input || be32(bits),
    /// where i starts at 1.
    #[must_use]
    pub const fn sp800_108(label: &'a [u8]) -> Self {
        Self::Counter {
            mode: CounterMode {
                width: CounterWidth::Bits32,
                start: 1,
                length_field: true,
            },
            fixed: FixedInput::LabelAndContext { label },
        }
    }
}

/// The parameters of counter mode (SP 800-108r1 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterMode {
    /// The width r of the counter.
    pub width: CounterWidth,
    /// The first value of the counter: 1 in SP 800-108, 0 in Vault. A value that does not fit the width is an error.
    pub start: u32,
    /// True if the fixed input ends with the length of the derived key in bits, as a big-endian integer of 32 bits.
    pub length_field: bool,
}

/// The width of the counter (r in SP 800-108). The counter is big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterWidth {
    /// A counter of one byte: at most 255 blocks if it starts at 1.
    Bits8,
    /// A counter of two bytes.
    Bits16,
    /// A counter of three bytes.
    Bits24,
    /// A counter of four bytes.
    Bits32,
}

impl CounterWidth {
    /// Returns the length of the counter in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Bits8 => 1,
            Self::Bits16 => 2,
            Self::Bits24 => 3,
            Self::Bits32 => 4,
        }
    }

    /// Returns the largest value of the counter.
    pub(super) const fn max(self) -> u32 {
        match self {
            Self::Bits8 => 0xff,
            Self::Bits16 => 0xffff,
            Self::Bits24 => 0xff_ffff,
            Self::Bits32 => u32::MAX,
        }
    }
}

/// The format of the fixed input, which follows the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FixedInput<'a> {
    /// The input without a prefix.
    Raw,
    /// label || 00 || input, where the input is the Context of SP 800-108.
    LabelAndContext {
        /// The Label of SP 800-108.
        label: &'a [u8],
    },
}
