use super::{Origin, Validation, algorithm::Algorithm};

/// The servers and messages that a [`MutualProver`](super::MutualProver) accepts.
#[derive(Debug, Clone, Copy)]
pub struct MutualSettings {
    /// The algorithms: of several challenges, the first whose algorithm is among them. Default: all of this build.
    pub algorithms: &'static [Algorithm],
    /// The host validation methods, the preferred first. Default: over TLS the exporter, then the certificate; over plain HTTP the host.
    pub validations: &'static [Validation],
    /// The responses that are accepted although the server has not proved itself. Default: [`UnverifiedResponses::BeforeChallenge`].
    pub unverified: UnverifiedResponses,
    /// True if the password is used for any realm that the server names. Default: false, and it serves one realm: that of
    /// [`MutualProver::with_realm`](super::MutualProver::with_realm), or the first in which both sides were proved (RFC 8120 section 5: a password must not be used for another realm
    /// without the user).
    pub follows_realms: bool,
}

/// The responses without the server's proof that are accepted, as [`Outcome::NotAsked`](crate::proof::Outcome::NotAsked).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnverifiedResponses {
    /// None: for a device, which has no use for a server that does not know it.
    Never,
    /// Responses of a server that has never asked for a proof. A man in the middle could make them; they say nothing about user and server.
    BeforeChallenge,
    /// Responses to the first request of a sequence, for servers only parts of which need a proof. A man in the middle could make them.
    Always,
}

impl MutualSettings {
    /// Returns the defaults for a server.
    #[must_use]
    pub fn of(origin: &Origin) -> Self {
        Self {
            algorithms: Algorithm::ALL,
            validations: if origin.is_https() {
                &[Validation::TlsExporter, Validation::TlsServerEndPoint]
            } else {
                &[Validation::Host]
            },
            unverified: UnverifiedResponses::BeforeChallenge,
            follows_realms: false,
        }
    }
}
