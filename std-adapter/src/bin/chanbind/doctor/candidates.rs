//! The ways in which an end may derive keying material, right and wrong.

use super::Findings;
use chanbind::{
    client::ClientChannel,
    proof::{fingerprint, otp},
    protocol::{
        exporter::Exporter,
        otp::{ClientId, Profile},
    },
};

/// The values that a channel exports in these ways.
pub(super) struct Candidates {
    /// Those of the settings of this end, by purpose.
    own: Vec<(&'static str, String)>,
    others: Vec<(String, String)>,
}

impl Candidates {
    pub(super) fn of(profile: &Profile<'_>, client: ClientId<'_>, channel: &ClientChannel) -> Self {
        let known = [
            Profile::default(),
            Profile::GO_DEMO_API_KEY,
            Profile::GO_DEMO_JWT,
        ];
        let mut labels = vec![profile.exporter_label];
        for known in &known {
            if !labels.contains(&known.exporter_label) {
                labels.push(known.exporter_label);
            }
        }
        let id = client.as_str();
        let mut contexts = vec![
            (
                "no context, or an empty one, which is the same in TLS 1.3".to_owned(),
                None,
            ),
            ("an empty context".to_owned(), Some(Vec::new())),
            (
                "the client id as context".to_owned(),
                Some(id.as_bytes().to_vec()),
            ),
        ];
        for purpose in [
            "api-key",
            "signing",
            "encryption",
            "api_key",
            "sig_key",
            "enc_key",
        ] {
            contexts.push((
                format!("the context {purpose:?}"),
                Some(purpose.as_bytes().to_vec()),
            ));
            let both = [purpose.as_bytes(), &[0], id.as_bytes()].concat();
            contexts.push((
                format!("the context of {purpose:?} and the client id"),
                Some(both),
            ));
        }
        let mut others = Vec::new();
        for label in labels {
            for (what, context) in &contexts {
                let name = format!("the label {:?} and {what}", String::from_utf8_lossy(label));
                others.extend(
                    export(channel, label, context.as_deref()).map(|value| (name.clone(), value)),
                );
                // TLS 1.2 puts a length before the context (RFC 5705 section 4), and TLS 1.3 hashes the context alone.
                let Some(context) = context else { continue };
                let len = u16::try_from(context.len())
                    .unwrap_or(u16::MAX)
                    .to_be_bytes();
                let context = [&len, context.as_slice()].concat();
                let name = format!("{name}, with its length before it as in TLS 1.2");
                others.extend(export(channel, label, Some(&context)).map(|value| (name, value)));
            }
        }
        Self {
            own: otp::exports(profile, client, channel),
            others,
        }
    }

    /// Says how the other end has derived a value, for this purpose if that is known.
    pub(super) fn report(&self, purpose: Option<&str>, value: &str, findings: &mut Findings) {
        let name = purpose.unwrap_or("the printed value");
        let mut own = self.own.iter();
        if own.any(|(own, export)| export == value && purpose.is_none_or(|purpose| purpose == *own))
        {
            findings.good(&format!("{name}: both ends export {value}"));
            return;
        }
        match self.others.iter().find(|(_, other)| other == value) {
            Some((how, _)) => findings.bad(
                &format!("{name}: the other end exports {value}, which is {how}"),
                "give both ends the same profile, label and context rule",
            ),
            None => {
                let own: Vec<_> = self
                    .own
                    .iter()
                    .map(|(name, own)| format!("{name} {own}"))
                    .collect();
                findings.bad(
                    &format!("{name}: the other end exports {value}, and this end {}", own.join(", ")),
                    "no label and context known here gives that value on this connection: the other end has another connection (TLS is ended in between), derives as in TLS 1.2, or has a label or client id of its own",
                );
            }
        }
    }
}

fn export(channel: &ClientChannel, label: &[u8], context: Option<&[u8]>) -> Option<String> {
    let mut value = [0; 32];
    channel
        .export_keying_material(label, context, &mut value)
        .ok()?;
    Some(fingerprint(&value))
}
