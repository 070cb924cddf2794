use super::Fields;
use axum::http::StatusCode;
use std::{borrow::Cow, fmt};

/// The kinds of refusal, each with its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// The proof is missing or wrong: 401, or 407 of a proxy, with the challenges of the rule. All such answers are the same, so that the client does not learn
    /// which subjects exist.
    NotProved,
    /// The client has declined to prove what the path needs, or may not use it: 403.
    Forbidden,
    /// The connection is good for no further proof: 421, and the client connects anew.
    Exhausted,
    /// The request is malformed, and its sender can see that: 400, with the reason.
    Malformed,
    /// The gateway verifies as many proofs as it can at the moment: 503, and the client tries again later.
    Busy,
    /// The gateway is at fault: 500. The reason is for its operator alone.
    Internal,
}

impl RefusalKind {
    /// Returns the status of the answer of a server.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotProved => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Exhausted => StatusCode::MISDIRECTED_REQUEST,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The reason why a request does not go through. `Display` is for the operator's log.
#[derive(Debug, Clone)]
pub struct Refusal {
    kind: RefusalKind,
    reason: Cow<'static, str>,
    fields: Fields,
    subject: Option<Box<str>>,
}

impl Refusal {
    /// Creates a refusal.
    #[must_use]
    pub fn new(kind: RefusalKind, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            fields: Fields::new(),
            subject: None,
        }
    }

    /// Names the subject that the client claims to be, for the operator. It has not been proved, and need not exist.
    #[must_use]
    pub fn claimed_by(mut self, subject: impl Into<Box<str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Returns the subject that the client claims to be, if it names one.
    #[must_use]
    pub fn claimed_subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Sets fields of the answer that tell the client more than the verifier's challenges would, and take their place. Only the answer to a
    /// missing or wrong proof has challenges.
    #[must_use]
    pub fn with_fields(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }

    /// Returns the fields that [`Refusal::with_fields`] has set.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Takes the fields out.
    pub(crate) fn take_fields(&mut self) -> Fields {
        std::mem::take(&mut self.fields)
    }

    /// Creates a refusal of a proof that is missing or wrong.
    #[must_use]
    pub fn not_proved(reason: impl fmt::Display) -> Self {
        Self::new(RefusalKind::NotProved, reason.to_string())
    }

    /// Creates a refusal of a malformed request; its sender is told the reason.
    #[must_use]
    pub fn malformed(reason: impl fmt::Display) -> Self {
        Self::new(RefusalKind::Malformed, reason.to_string())
    }

    /// Creates a refusal for a fault of the gateway's own.
    #[must_use]
    pub fn internal(reason: impl fmt::Display) -> Self {
        Self::new(RefusalKind::Internal, reason.to_string())
    }

    /// Returns the kind, and with it the status.
    #[must_use]
    pub fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// Returns the text that the client is told: the reason only where the client can see it anyway.
    #[must_use]
    pub fn message(&self) -> String {
        match self.kind {
            RefusalKind::NotProved => "prove who you are on this connection\n".to_owned(),
            RefusalKind::Exhausted => "open a new connection\n".to_owned(),
            RefusalKind::Busy => "try again later\n".to_owned(),
            RefusalKind::Malformed => format!("{}\n", self.reason),
            RefusalKind::Forbidden | RefusalKind::Internal => String::new(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}
