//! Stateless helpers over tss-esapi: connecting, starting sessions, templates and names.

use super::{TpmError, TpmName, reachable::unreachable_tpm, response::describe};
use sha2::{Digest as _, Sha256};
use std::str::FromStr;
use tss_esapi::{
    Context, TctiNameConf,
    attributes::{ObjectAttributesBuilder, SessionAttributesBuilder},
    constants::SessionType,
    handles::KeyHandle,
    interface_types::{
        algorithm::{HashingAlgorithm, PublicAlgorithm},
        ecc::EccCurve,
        session_handles::AuthSession,
    },
    structures::{
        EccParameter, EccPoint, EccScheme, KeyDerivationFunctionScheme, Public, PublicBuffer,
        PublicBuilder, PublicEccParameters, PublicEccParametersBuilder, SymmetricDefinition,
        SymmetricDefinitionObject,
    },
    traits::Marshall,
};

/// Computes the SHA-256 name of an object (TPM 2.0 Part 1 section 16).
pub(super) fn name_of(public: &Public) -> Result<TpmName, TpmError> {
    let marshalled = PublicBuffer::try_from(public.clone())
        .and_then(|buffer| buffer.marshall())
        .map_err(|error| describe("the parent's public part", error))?;
    let area = marshalled.get(2..).unwrap_or_default();
    Ok(TpmName::from_bytes(
        &[&[0x00, 0x0b][..], &Sha256::digest(area)].concat(),
    ))
}

/// Pads a P-256 coordinate or scalar to 32 bytes, because TPMs may omit leading zeroes. Returns `None` if it is longer.
pub(super) fn padded(number: &EccParameter) -> Option<[u8; 32]> {
    let number = number.value();
    let mut full = [0; 32];
    let start = full.len().checked_sub(number.len())?;
    full.get_mut(start..)?.copy_from_slice(number);
    Some(full)
}

/// Connects to the TPM behind a TCTI string.
pub(super) fn connect(tcti: &str) -> Result<Context, TpmError> {
    let invalid = || TpmError::Tcti {
        tcti: tcti.to_owned(),
    };
    // tss-esapi does not reject a misspelt configuration. An empty one stands for the defaults.
    let (name, configuration) = tcti.split_once(':').unwrap_or((tcti, ""));
    let known = match name {
        "device" => configuration.is_empty() || configuration.starts_with('/'),
        "swtpm" | "mssim" => configuration
            .split(',')
            .all(|pair| pair.is_empty() || pair.starts_with("host=") || pair.starts_with("port=")),
        "tabrmd" => true,
        _ => false,
    };
    if !known {
        return Err(invalid());
    }
    let name = TctiNameConf::from_str(tcti).map_err(|_| invalid())?;
    Context::new(name).map_err(|error| unreachable_tpm(tcti, error))
}

/// Starts a session with AES-128-CFB and SHA-256, salted to the key `salt` if there is one.
pub(super) fn start_session(
    context: &mut Context,
    salt: Option<KeyHandle>,
    kind: SessionType,
) -> tss_esapi::Result<AuthSession> {
    let session = context
        .start_auth_session(
            salt,
            None,
            None,
            kind,
            SymmetricDefinition::AES_128_CFB,
            HashingAlgorithm::Sha256,
        )?
        .ok_or(tss_esapi::Error::WrapperError(
            tss_esapi::WrapperErrorKind::WrongValueFromTpm,
        ))?;
    // Without a salt, the key for parameter encryption is not secret, so only salted sessions encrypt.
    let encrypt = salt.is_some();
    let (attributes, mask) = SessionAttributesBuilder::new()
        .with_continue_session(true)
        .with_decrypt(encrypt)
        .with_encrypt(encrypt)
        .build();
    if let Err(error) = context.tr_sess_set_attributes(session, attributes, mask) {
        flush_session(context, session);
        return Err(error);
    }
    Ok(session)
}

/// Flushes a session. An error is ignored.
pub(super) fn flush_session(context: &mut Context, session: AuthSession) {
    let _ = context.flush_context(tss_esapi::handles::SessionHandle::from(session).into());
}

/// Returns the template H-2 of the TCG EK Credential Profile (section B.4.5), as the storage hierarchies use it.
pub(super) fn h2_template() -> tss_esapi::Result<Public> {
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(
            ObjectAttributesBuilder::new()
                .with_fixed_tpm(true)
                .with_fixed_parent(true)
                .with_sensitive_data_origin(true)
                .with_user_with_auth(true)
                .with_no_da(true)
                .with_restricted(true)
                .with_decrypt(true)
                .build()?,
        )
        .with_ecc_parameters(
            PublicEccParametersBuilder::new_restricted_decryption_key(
                SymmetricDefinitionObject::AES_128_CFB,
                EccCurve::NistP256,
            )
            .build()?,
        )
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
}

/// Returns the parameters of a P-256 key that can only sign, with `scheme`.
pub(super) fn signing_parameters(scheme: EccScheme) -> PublicEccParameters {
    PublicEccParameters::new(
        SymmetricDefinitionObject::Null,
        scheme,
        EccCurve::NistP256,
        KeyDerivationFunctionScheme::Null,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_coordinates_without_leading_zeroes() {
        for len in [0, 1, 31, 32] {
            let number = EccParameter::try_from(vec![0xa5; len]).unwrap();
            let full = padded(&number).unwrap();
            assert_eq!(full, *[vec![0; 32 - len], vec![0xa5; len]].concat());
        }
        let number = EccParameter::try_from(vec![0; 33]).unwrap();
        assert_eq!(padded(&number), None);
    }
}
