use super::{Command, CommandCode, Entities, Handle, NONE};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// The kind of a capability, TPM_CAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Capability(pub u32);

impl Capability {
    /// TPM_CAP_ALGS: supported algorithms.
    pub const ALGORITHMS: Self = Self(0);
    /// TPM_CAP_HANDLES: handles in use, of the same type as the given handle and from it on.
    pub const HANDLES: Self = Self(1);
    /// TPM_CAP_COMMANDS: supported commands.
    pub const COMMANDS: Self = Self(2);
    /// TPM_CAP_PCRS: allocated PCRs.
    pub const PCRS: Self = Self(5);
    /// TPM_CAP_TPM_PROPERTIES: properties of the TPM.
    pub const TPM_PROPERTIES: Self = Self(6);
}

/// TPM2_GetCapability (Part 3 section 30.2): reads capabilities of the chip.
#[derive(Debug)]
pub struct GetCapability {
    /// The kind of capability.
    pub capability: Capability,
    /// The first value to return.
    pub property: u32,
    /// The maximum number of values to return.
    pub count: u32,
}

/// The response to [`GetCapability`].
#[derive(Debug)]
#[non_exhaustive]
pub struct CapabilityResponse<'r> {
    /// True if the chip has more values.
    pub more: bool,
    /// The kind of capability.
    pub capability: Capability,
    /// The marshalled values, without their number.
    pub data: &'r [u8],
    /// The number of values.
    pub count: u32,
}

impl<'r> CapabilityResponse<'r> {
    /// Returns the values of [`Capability::HANDLES`]; no values for another kind of capability.
    pub fn handles(&self) -> impl Iterator<Item = Handle> + use<'r> {
        let (chunks, _) = self.data.as_chunks::<4>();
        let wanted = self.capability == Capability::HANDLES;
        chunks
            .iter()
            .filter(move |_| wanted)
            .map(|bytes| Handle(u32::from_be_bytes(*bytes)))
    }

    /// Returns the properties and values of [`Capability::TPM_PROPERTIES`]; none for another kind of capability.
    pub fn properties(&self) -> impl Iterator<Item = (u32, u32)> + use<'r> {
        let (chunks, _) = self.data.as_chunks::<8>();
        let wanted = self.capability == Capability::TPM_PROPERTIES;
        chunks.iter().filter(move |_| wanted).map(|bytes| {
            let [a, b, c, d, e, f, g, h] = *bytes;
            (
                u32::from_be_bytes([a, b, c, d]),
                u32::from_be_bytes([e, f, g, h]),
            )
        })
    }
}

impl Command for GetCapability {
    const CODE: CommandCode = CommandCode::GET_CAPABILITY;
    const AUTHORIZATIONS: usize = 0;
    type Response<'r> = CapabilityResponse<'r>;

    fn entities(&self) -> Entities<'_> {
        NONE
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.u32(self.capability.0)?;
        out.u32(self.property)?;
        out.u32(self.count)
    }

    fn response<'r>(
        &self,
        _: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        let more = match parameters.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Truncated),
        };
        let capability = Capability(parameters.u32()?);
        let count = parameters.u32()?;
        let rest = parameters.rest();
        let data = parameters.take(rest.len())?;
        Ok(CapabilityResponse {
            more,
            capability,
            data,
            count,
        })
    }
}
