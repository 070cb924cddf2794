use crate::proof::fingerprint;
use chanbind_core::{
    exporter::Exporter,
    otp::{ClientId, Profile, Purpose},
};

/// Returns the fingerprints of the keying material that is exported from a channel for a client, by purpose: `api-key`, `signing`, `encryption`. Both
/// ends of a channel have the same ones, with the same profile. Empty if the channel does not export.
#[must_use]
pub fn exports(
    profile: &Profile<'_>,
    client: ClientId<'_>,
    channel: &(impl Exporter + ?Sized),
) -> Vec<(&'static str, String)> {
    const PURPOSES: [(&str, Purpose); 3] = [
        ("api-key", Purpose::ApiKey),
        ("signing", Purpose::Signing),
        ("encryption", Purpose::Encryption),
    ];
    let exports = PURPOSES.iter().filter_map(|(name, purpose)| {
        let material = profile.keying_material(&channel, *purpose, client).ok()?;
        Some((*name, fingerprint(material.as_bytes())))
    });
    exports.collect()
}
