/// How the input of a derivation is laid out before it goes through the PRF. Named ones are those that exist in the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout<'a> {
    /// PRF(input), cut to the length asked for: at most one block.
    Hmac,
    /// SP 800-108 counter mode with the counter before the fixed input: block i is PRF(counter || fixed input).
    Counter {
        /// Width, start and length field.
        mode: CounterMode,
        /// What stands before and behind the input.
        fixed: FixedInput<'a>,
    },
}

impl<'a> Layout<'a> {
    /// HashiCorp Vault's counter mode: be32(i), from 0 || input || be32(bits).
    pub const VAULT: Self = Self::Counter {
        mode: CounterMode {
            width: CounterWidth::Bits32,
            start: 0,
            length_field: true,
        },
        fixed: FixedInput::Raw,
    };

    /// SP 800-108's usual layout, that of the tpm-kdf library: be32(i), from 1 || label || 00 || input || be32(bits).
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

/// The parameters of SP 800-108r1 section 4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterMode {
    /// r, the counter's width.
    pub width: CounterWidth,
    /// The first value of the counter: 1 in SP 800-108, 0 in Vault. Bits over the counter's width are an error.
    pub start: u32,
    /// Whether the length of the derived key, in bits as 32 bits big-endian, ends the fixed input.
    pub length_field: bool,
}

/// r of SP 800-108: the counter's width; it is written big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterWidth {
    /// One byte: at most 255 blocks from 1.
    Bits8,
    /// Two bytes.
    Bits16,
    /// Three bytes.
    Bits24,
    /// Four bytes.
    Bits32,
}

impl CounterWidth {
    /// The counter's length in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Bits8 => 1,
            Self::Bits16 => 2,
            Self::Bits24 => 3,
            Self::Bits32 => 4,
        }
    }

    /// The counter's largest value.
    pub(super) const fn max(self) -> u32 {
        match self {
            Self::Bits8 => 0xff,
            Self::Bits16 => 0xffff,
            Self::Bits24 => 0xff_ffff,
            Self::Bits32 => u32::MAX,
        }
    }
}

/// What the counter is followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixedInput<'a> {
    /// The input as it is.
    Raw,
    /// label || 00 || input: the input is SP 800-108's Context.
    LabelAndContext {
        /// SP 800-108's Label.
        label: &'a [u8],
    },
}
