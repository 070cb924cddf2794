//! Registers of the FIFO interface (TCG PC Client Platform TPM Profile, section 6.5), by their addresses within a locality's page.

/// A register of a locality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum Register {
    Access,
    IntEnable,
    IntStatus,
    Status,
    /// The upper byte of [`Register::Status`], which contains `commandCancel`.
    StatusUpper,
    DataFifo,
    DidVid,
}

impl Register {
    const fn address(self) -> u16 {
        match self {
            Self::Access => 0x000,
            Self::IntEnable => 0x008,
            Self::IntStatus => 0x010,
            Self::Status => 0x018,
            Self::StatusUpper => 0x01b,
            Self::DataFifo => 0x024,
            Self::DidVid => 0xf00,
        }
    }
}

/// Bits of TPM_ACCESS.
pub(crate) mod access {
    /// `tpmRegValidSts`: the other bits are valid.
    pub(crate) const VALID: u8 = 0x80;
    pub(crate) const ACTIVE_LOCALITY: u8 = 0x20;
    pub(crate) const BEEN_SEIZED: u8 = 0x10;
    pub(crate) const REQUEST_USE: u8 = 0x02;
    /// The bits to check after a request for a locality, and their value once it is granted.
    pub(crate) const GRANTED_MASK: u8 = VALID | ACTIVE_LOCALITY | REQUEST_USE;
    pub(crate) const GRANTED: u8 = VALID | ACTIVE_LOCALITY;
}

/// Bits of the lowest byte of TPM_STS.
pub(crate) mod status {
    pub(crate) const VALID: u8 = 0x80;
    pub(crate) const COMMAND_READY: u8 = 0x40;
    pub(crate) const GO: u8 = 0x20;
    pub(crate) const DATA_AVAILABLE: u8 = 0x10;
    pub(crate) const EXPECT: u8 = 0x08;
    pub(crate) const RESPONSE_RETRY: u8 = 0x02;
    /// Bits that are write-only or reserved: a chip reads them as 0.
    pub(crate) const ZERO: u8 = 0x23;
}

/// Bits of the highest byte of TPM_STS.
pub(crate) mod status_upper {
    pub(crate) const COMMAND_CANCEL: u8 = 0x01;
    pub(crate) const FAMILY_MASK: u8 = 0x0c;
    pub(crate) const FAMILY_TPM_2: u8 = 0x04;
}

/// The value of TPM_INT_ENABLE that enables an active-low interrupt when data is available.
pub(crate) const INT_ENABLE: [u8; 4] = 0x8000_0009u32.to_le_bytes();
/// All bits of TPM_INT_STATUS. Writing a bit clears it.
pub(crate) const INT_CLEAR: u8 = 0x87;

/// Maximum number of data bytes in one transaction.
pub(crate) const MAX_TRANSFER: usize = 64;

/// Returns the four header bytes of a transaction with `len` data bytes, 1 to 64.
pub(crate) fn header(read: bool, locality: u8, register: Register, len: usize) -> [u8; 4] {
    let direction = if read { 0x80 } else { 0 };
    let len = u8::try_from(len.saturating_sub(1)).unwrap_or(0x3f) & 0x3f;
    let [high, low] = (register.address() | (u16::from(locality) << 12)).to_be_bytes();
    [direction | len, 0xd4, high, low]
}

/// The wait state bit, in the byte that the chip sends with the last header byte, and in each byte after it: set if the chip is
/// ready.
pub(crate) const READY: u8 = 0x01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_headers_as_specified() {
        assert_eq!(
            header(true, 0, Register::DidVid, 4),
            [0x83, 0xd4, 0x0f, 0x00]
        );
        assert_eq!(
            header(false, 2, Register::DataFifo, 64),
            [0x3f, 0xd4, 0x20, 0x24]
        );
    }
}
