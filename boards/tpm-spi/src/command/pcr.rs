use super::{AlgorithmId, Command, CommandCode, Entities, Entity, Handle, NONE, one};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// A selection of PCRs 0 to 23 of the SHA-256 bank: a TPML_PCR_SELECTION with one bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PcrSelection {
    bits: [u8; 3],
}

impl PcrSelection {
    /// Selects the PCRs with these numbers. Numbers above 23 are ignored.
    #[must_use]
    pub fn sha256(numbers: &[u8]) -> Self {
        let mut bits = [0; 3];
        for &number in numbers {
            if let Some(byte) = bits.get_mut(usize::from(number >> 3)) {
                *byte |= 1 << (number & 7);
            }
        }
        Self { bits }
    }

    /// Returns true if the PCR with this number is selected.
    #[must_use]
    pub fn contains(&self, number: u8) -> bool {
        self.bits
            .get(usize::from(number >> 3))
            .is_some_and(|byte| byte & (1 << (number & 7)) != 0)
    }

    pub(super) fn write(self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.u32(1)?;
        out.u16(AlgorithmId::SHA256.0)?;
        out.u8(3)?;
        out.put(&self.bits)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Truncated> {
        match reader.u32()? {
            0 => Ok(Self::default()),
            1 if reader.u16()? == AlgorithmId::SHA256.0 && reader.u8()? == 3 => Ok(Self {
                bits: reader.array()?,
            }),
            _ => Err(Truncated),
        }
    }
}

/// TPM2_PCR_Read (Part 3 section 22.4): reads the values of PCRs.
#[derive(Debug)]
pub struct PcrRead {
    /// The PCRs to read. A chip returns at most eight values in one response, together with the selection of these PCRs.
    pub pcrs: PcrSelection,
}

/// The response to [`PcrRead`].
#[derive(Debug)]
pub struct PcrReadResponse<'r> {
    /// The number of changes to PCRs.
    pub update_counter: u32,
    /// The PCRs whose values the response contains.
    pub pcrs: PcrSelection,
    /// The values, in ascending order of the PCR numbers.
    pub values: PcrValues<'r>,
}

/// An iterator over the SHA-256 values of PCRs.
#[derive(Debug, Clone)]
pub struct PcrValues<'r> {
    rest: Reader<'r>,
}

impl<'r> Iterator for PcrValues<'r> {
    type Item = &'r [u8];

    fn next(&mut self) -> Option<&'r [u8]> {
        self.rest.sized16().ok()
    }
}

impl Command for PcrRead {
    const CODE: CommandCode = CommandCode::PCR_READ;
    const AUTHORIZATIONS: usize = 0;
    type Response<'r> = PcrReadResponse<'r>;

    fn entities(&self) -> Entities<'_> {
        NONE
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        self.pcrs.write(out)
    }

    fn response<'r>(
        &self,
        _: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        let update_counter = parameters.u32()?;
        let pcrs = PcrSelection::read(parameters)?;
        let count = parameters.u32()?;
        let values = PcrValues {
            rest: Reader::new(parameters.rest()),
        };
        // Read the values here, so that the iterator returns as many values as the response announces.
        for _ in 0..count {
            parameters.sized16()?;
        }
        Ok(PcrReadResponse {
            update_counter,
            pcrs,
            values,
        })
    }
}

/// TPM2_PCR_Extend (Part 3 section 22.2): extends a PCR of the SHA-256 bank.
#[derive(Debug)]
pub struct PcrExtend<'a> {
    /// The PCR ([`Entity::pcr`]), whose authorization is needed: usually an empty password.
    pub pcr: &'a Entity,
    /// The digest to extend the PCR with.
    pub digest: &'a [u8; 32],
}

impl Command for PcrExtend<'_> {
    const CODE: CommandCode = CommandCode::PCR_EXTEND;
    const AUTHORIZATIONS: usize = 1;
    type Response<'r> = ();

    fn entities(&self) -> Entities<'_> {
        one(self.pcr)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.u32(1)?;
        out.u16(AlgorithmId::SHA256.0)?;
        out.put(self.digest)
    }

    fn response<'r>(&self, _: Handle, _: &mut Reader<'r>) -> Result<(), Truncated> {
        Ok(())
    }
}
