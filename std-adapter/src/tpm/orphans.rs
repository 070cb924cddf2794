//! What a broken connection leaves in the TPM.
//!
//! A resource manager (`/dev/tpmrm0`, tpm2-abrmd) clears up behind a connection by itself and shows each only its own handles.
//! A bare TPM (`/dev/tpm0`, swtpm) does not; there, this program is taken to be the only one that works with the TPM at the
//! time, and what has come since it connected is its own.

use tss_esapi::{
    Context,
    constants::{
        CapabilityType,
        tss::{TPM2_HMAC_SESSION_FIRST, TPM2_TRANSIENT_FIRST},
    },
    handles::TpmHandle,
    structures::CapabilityData,
};

/// The transient objects and sessions that were there before.
pub(super) struct Baseline(Vec<TpmHandle>);

impl Baseline {
    pub(super) fn take(context: &mut Context) -> tss_esapi::Result<Self> {
        let mut present = list(context, TPM2_TRANSIENT_FIRST)?;
        present.extend(list(context, TPM2_HMAC_SESSION_FIRST)?);
        Ok(Self(present))
    }

    /// Flushes what has come since. What cannot be flushed is left: the TPM says so when it runs out of room.
    pub(super) fn restore(&self, context: &mut Context) -> tss_esapi::Result<()> {
        for handle in Self::take(context)?.0 {
            if !self.0.contains(&handle)
                && let Ok(object) = context.tr_from_tpm_public(handle)
            {
                let _ = context.flush_context(object);
            }
        }
        Ok(())
    }
}

fn list(context: &mut Context, first: u32) -> tss_esapi::Result<Vec<TpmHandle>> {
    match context.get_capability(CapabilityType::Handles, first, 64)? {
        (CapabilityData::Handles(handles), _) => Ok(handles.into_inner()),
        _ => Ok(Vec::new()),
    }
}
