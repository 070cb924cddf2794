//! Creates and imports keys.

use super::{
    Auth, KeyFile, Parent, PcrSelection, PolicyCommand, TpmError, device::Device,
    esys::signing_parameters, policy, response::describe, wrap::wrap,
};
use sha2::{Digest as _, Sha256};
use tss_esapi::{
    attributes::ObjectAttributesBuilder,
    handles::ObjectHandle,
    interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm},
    structures::{
        Auth as TssAuth, Digest, EccPoint, EccScheme, HashScheme, KeyedHashScheme, Private, Public,
        PublicBuffer, PublicBuilder, PublicKeyedHashParameters, Sensitive, SensitiveBuffer,
        SensitiveData, SymmetricDefinitionObject,
    },
    traits::Marshall,
};
use zeroize::Zeroizing;

/// The maximum length of an HMAC key to import, in bytes. TPMs accept 64 bytes, the block length of SHA-256. HMAC replaces a
/// longer key by its hash (RFC 2104 section 2), so the hash is imported instead.
pub const MAX_SECRET_LEN: usize = 1024;

/// The block length of SHA-256, in bytes.
const BLOCK_LEN: usize = 64;

/// The properties of a new key.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct KeyOptions {
    /// The parent key, which wraps the new key.
    pub parent: Parent,
    /// The password of the new key. `None` is the empty password.
    pub auth: Option<Auth>,
    /// True if the TPM counts failed authorizations of the key and enters lockout after too many (TPM 2.0 Part 1 section 19.8).
    /// Set it for passwords that a person chooses. It is off by default, because a random secret cannot be guessed, and because a
    /// power cut after the key was used counts as a failure, and so does noise on the bus, until the device has locked itself
    /// out.
    pub dictionary_attack_protection: bool,
    /// Platform configuration registers (PCRs) that must keep their current values for the key to be used.
    pub pcrs: Option<PcrSelection>,
    /// A description for human readers, which is written to the key file.
    pub description: Option<String>,
}

/// Imports the HMAC key `secret`. It is sent to the TPM in an outer wrapper.
pub(super) fn import(
    device: &mut Device,
    secret: &[u8],
    options: KeyOptions,
) -> Result<KeyFile, TpmError> {
    if secret.is_empty() || secret.len() > MAX_SECRET_LEN {
        return Err(TpmError::SecretLength {
            actual: secret.len(),
            max: MAX_SECRET_LEN,
        });
    }
    let hashed: Zeroizing<[u8; 32]>;
    let secret = if secret.len() > BLOCK_LEN {
        hashed = Zeroizing::new(Sha256::digest(secret).into());
        hashed.as_slice()
    } else {
        secret
    };
    let parent = device.parent(options.parent)?;
    let draft = Draft::new(device, options)?;
    let failed = |error| describe("TPM2_Import", error);

    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|error| TpmError::Stack {
        command: "the generation of the key's seed",
        reason: error.to_string(),
    })?;
    // The unique field of a symmetric object is the hash of its seed and its key (TPM 2.0 Part 1 section 27.5.3.2).
    let unique = Sha256::new()
        .chain_update(seed.as_slice())
        .chain_update(secret)
        .finalize();
    let unique = Digest::try_from(unique.to_vec()).map_err(failed)?;
    let template = hmac_key_template().with_keyed_hash_unique_identifier(unique);
    let public = draft.public(template, Origin::Outside)?;
    let sensitive = Sensitive::Bits {
        auth_value: draft.auth.clone(),
        seed_value: Digest::try_from(seed.to_vec()).map_err(failed)?,
        sensitive: SensitiveData::try_from(secret.to_vec()).map_err(failed)?,
    };
    let sensitive = Zeroizing::new(
        SensitiveBuffer::try_from(sensitive)
            .and_then(|buffer| buffer.marshall())
            .map_err(failed)?,
    );
    let marshalled = marshal_public(&public)?;
    let name = [
        &[0x00, 0x0b][..],
        &Sha256::digest(marshalled.get(2..).unwrap_or_default()),
    ]
    .concat();
    let (duplicate, encrypted_seed) = wrap(&parent.public, &name, &sensitive)?;
    let private = device.with_session("TPM2_Import", |context| {
        context.import(
            ObjectHandle::from(parent.handle),
            None,
            public.clone(),
            duplicate.clone(),
            encrypted_seed.clone(),
            SymmetricDefinitionObject::Null,
        )
    })?;
    draft.finish(marshalled, &private)
}

/// Creates a key inside the TPM. `template` is its public area without attributes and policy.
pub(super) fn create(
    device: &mut Device,
    template: PublicBuilder,
    options: KeyOptions,
) -> Result<KeyFile, TpmError> {
    let parent = device.parent(options.parent)?;
    let draft = Draft::new(device, options)?;
    let public = draft.public(template, Origin::Tpm)?;
    let created = device.with_session("TPM2_Create", |context| {
        context.create(
            parent.handle,
            public.clone(),
            Some(draft.auth.clone()),
            None,
            None,
            None,
        )
    })?;
    draft.finish(marshal_public(&created.out_public)?, &created.out_private)
}

/// The properties of a key that has not been sent to the TPM yet.
struct Draft {
    parent: Parent,
    auth: TssAuth,
    policy: Vec<PolicyCommand>,
    policy_digest: Digest,
    description: Option<String>,
    no_da: bool,
}

impl Draft {
    /// Applies the options. Reads the values of the selected registers from the TPM.
    fn new(device: &mut Device, options: KeyOptions) -> Result<Self, TpmError> {
        let auth = options.auth.map(Auth::into_inner).unwrap_or_default();
        let mut commands = Vec::new();
        let mut policy_digest = Digest::default();
        if let Some(pcrs) = &options.pcrs {
            commands.push(device.with_context("TPM2_PCR_Read", |context| pcrs.command(context))?);
            if !auth.value().is_empty() {
                commands.push(PolicyCommand::AuthValue);
            }
            policy_digest = Digest::try_from(policy::digest(&commands).to_vec())
                .map_err(|error| describe("the key's policy", error))?;
        }
        Ok(Self {
            parent: options.parent,
            auth,
            policy: commands,
            policy_digest,
            description: options.description,
            no_da: !options.dictionary_attack_protection,
        })
    }

    /// Builds the public area of a key with the `sign` attribute, which TPM2_HMAC requires too.
    fn public(&self, template: PublicBuilder, origin: Origin) -> Result<Public, TpmError> {
        let is_created = matches!(origin, Origin::Tpm);
        // If there is a policy, the password alone must not authorize the use of the key.
        ObjectAttributesBuilder::new()
            .with_sign_encrypt(true)
            .with_fixed_tpm(is_created)
            .with_fixed_parent(is_created)
            .with_sensitive_data_origin(is_created)
            .with_user_with_auth(self.policy.is_empty())
            .with_no_da(self.no_da)
            .build()
            .and_then(|attributes| {
                template
                    .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
                    .with_object_attributes(attributes)
                    .with_auth_policy(self.policy_digest.clone())
                    .build()
            })
            .map_err(|error| describe("the key's public part", error))
    }

    /// Builds the key file from the marshalled TPM2B_PUBLIC and the private part.
    fn finish(self, public: Vec<u8>, private: &Private) -> Result<KeyFile, TpmError> {
        let private = private.value();
        let size = u16::try_from(private.len()).map_err(|_| super::KeyFileError::Blob)?;
        Ok(KeyFile {
            parent: self.parent,
            empty_auth: self.auth.value().is_empty(),
            policy: self.policy,
            description: self.description,
            public,
            private: [&size.to_be_bytes()[..], private].concat(),
        })
    }
}

/// The origin of a key.
#[derive(Clone, Copy)]
enum Origin {
    /// The key is created in the TPM and bound to it.
    Tpm,
    /// The key is created outside the TPM and imported.
    Outside,
}

/// Returns the template of HMAC-SHA256 keys.
pub(super) fn hmac_key_template() -> PublicBuilder {
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(
            KeyedHashScheme::HMAC_SHA_256,
        ))
        .with_keyed_hash_unique_identifier(Digest::default())
}

/// Returns the template of ECDSA P-256 keys that sign SHA-256 digests.
pub(super) fn signing_key_template() -> PublicBuilder {
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_ecc_parameters(signing_parameters(EccScheme::EcDsa(HashScheme::new(
            HashingAlgorithm::Sha256,
        ))))
        .with_ecc_unique_identifier(EccPoint::default())
}

fn marshal_public(public: &Public) -> Result<Vec<u8>, TpmError> {
    PublicBuffer::try_from(public.clone())
        .and_then(|buffer| buffer.marshall())
        .map_err(|error| describe("the key's public part", error))
}
