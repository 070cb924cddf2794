//! Objects and sessions that a broken connection leaves in the TPM.
//!
//! A resource manager (`/dev/tpmrm0`, tpm2-abrmd) flushes the objects of a connection that has ended, and shows each connection
//! only its own handles. A bare TPM (`/dev/tpm0`, swtpm) does neither. There, this program is assumed to be the only one that
//! uses the TPM at the time, so that handles which have appeared since it connected are its own.

use tss_esapi::{
    Context,
    constants::{
        CapabilityType,
        tss::{TPM2_HMAC_SESSION_FIRST, TPM2_TRANSIENT_FIRST},
    },
    handles::TpmHandle,
    structures::CapabilityData,
};

/// The handles of the transient objects and sessions that were in the TPM when a connection was opened.
pub(super) struct Baseline(Vec<TpmHandle>);

impl Baseline {
    /// Lists the handles that are in use.
    pub(super) fn take(context: &mut Context) -> tss_esapi::Result<Self> {
        let mut present = list(context, TPM2_TRANSIENT_FIRST)?;
        present.extend(list(context, TPM2_HMAC_SESSION_FIRST)?);
        Ok(Self(present))
    }

    /// Flushes every handle that is not in the baseline. A failure to flush one is ignored: the TPM reports an error when it runs
    /// out of memory.
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
