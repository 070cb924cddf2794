use rustls::{AlertDescription, CertificateError};
use std::{fmt, io};

/// The error of a connection or of a request on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The host is neither a name nor an address.
    #[error("{0:?} is not a host name and not an IP address")]
    Host(String),
    /// The URI is not absolute, or its scheme is not that of the connection.
    #[error("{0:?} is not an https address: write it like https://gateway.example:8443/path")]
    Uri(String),
    /// The TCP connection could not be opened.
    #[error("no connection to {target} ({error}): is the server running, and is the port right?")]
    Connect {
        /// Host and port.
        target: String,
        /// The system's error.
        error: io::Error,
    },
    /// The proxy did not open a tunnel.
    #[error("the proxy gives no tunnel to {target}: {reason}")]
    Proxy {
        /// Host and port.
        target: String,
        /// The reason.
        reason: String,
    },
    /// The TLS handshake failed.
    #[error("no TLS connection to {target}: {failure}")]
    Tls {
        /// Host and port.
        target: String,
        /// The reason.
        failure: TlsFailure,
    },
    /// HTTP failed.
    #[error("the connection broke in the middle of a request: {0}")]
    Http(hyper::Error),
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// The response is longer than the caller allows.
    #[error("the response is longer than {max} bytes")]
    ResponseTooLong {
        /// The limit.
        max: usize,
    },
    /// The request's body is a stream that was sent already, and the server asks for a proof.
    #[error(
        "the server asks for a proof, and the body of the request cannot be sent twice: authenticate the connection first, or send a body that can be repeated"
    )]
    BodyConsumed,
    /// The server asked for a proof and closed the connection: it did not want to read the content of a request that it refuses.
    #[error(
        "the server asked for a proof and closed the connection without reading the whole request ({0}): authenticate the connection first"
    )]
    ClosedAfterChallenge(hyper::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// The reason why a TLS handshake failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The server's certificate has expired, or is not valid yet: by how many seconds, and by which clock.
    NotValidNow {
        /// The end or the beginning of its validity, in seconds since 1970.
        bound: u64,
        /// The client's clock.
        now: u64,
    },
    /// The certificate is not for the name that was asked for.
    WrongName {
        /// The names that the certificate has.
        names: Vec<String>,
    },
    /// No trusted authority has issued the certificate.
    UnknownIssuer,
    /// The certificate is invalid for another reason.
    Certificate(CertificateError),
    /// The server does not speak TLS 1.3.
    NoTls13,
    /// The server does not speak TLS.
    NotTls,
    /// The server refused with an alert.
    Alert(AlertDescription),
    /// The server did not complete the handshake in time.
    Timeout,
    /// The connection ended during the handshake.
    Closed(io::Error),
    /// Any other failure.
    Other(rustls::Error),
}

impl TlsFailure {
    pub(super) fn of(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        let Some(inner) = inner.cloned() else {
            return match error.kind() {
                io::ErrorKind::TimedOut => Self::Timeout,
                _ => Self::Closed(error),
            };
        };
        match inner {
            rustls::Error::InvalidCertificate(error) => match error {
                CertificateError::ExpiredContext { time, not_after } => Self::NotValidNow {
                    bound: not_after.as_secs(),
                    now: time.as_secs(),
                },
                CertificateError::NotValidYetContext { time, not_before } => Self::NotValidNow {
                    bound: not_before.as_secs(),
                    now: time.as_secs(),
                },
                CertificateError::NotValidForNameContext { presented, .. } => Self::WrongName {
                    names: presented.iter().map(|name| plain_name(name)).collect(),
                },
                CertificateError::NotValidForName => Self::WrongName { names: Vec::new() },
                CertificateError::UnknownIssuer => Self::UnknownIssuer,
                other => Self::Certificate(other),
            },
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
            | rustls::Error::PeerIncompatible(
                rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13
                | rustls::PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::NoTls13,
            rustls::Error::AlertReceived(alert) => Self::Alert(alert),
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotValidNow { bound, now } if bound < now => write!(
                f,
                "the server's certificate expired on {}, and it is {}: have it renewed, or set this clock",
                date(*bound),
                date(*now)
            ),
            Self::NotValidNow { bound, now } => write!(
                f,
                "the server's certificate is not valid before {}, and it is {}: set this clock",
                date(*bound),
                date(*now)
            ),
            Self::WrongName { names } if names.is_empty() => f.write_str(
                "the server's certificate is not for this host name: use a name that it has",
            ),
            Self::WrongName { names } => write!(
                f,
                "the server's certificate is not for this host name, but for {}",
                names.join(", ")
            ),
            Self::UnknownIssuer => f.write_str(
                "the server's certificate comes from an unknown authority: give the certificate of the authority that issued it",
            ),
            Self::Certificate(error) => write!(f, "the server's certificate is not accepted: {error}"),
            Self::NoTls13 => f.write_str("the server does not speak TLS 1.3, which proofs are bound to"),
            Self::NotTls => f.write_str("the server does not speak TLS on this port"),
            Self::Alert(alert) => write!(f, "the server refused the handshake: {alert:?}"),
            Self::Timeout => f.write_str("the server did not complete the handshake in time"),
            Self::Closed(error) => write!(f, "the connection ended during the handshake ({error})"),
            Self::Other(error) => write!(f, "{error}"),
        }
    }
}

/// Returns a name without its type, which rustls writes as in `DnsName("gateway.example")`.
fn plain_name(presented: &str) -> String {
    let inner = presented.split_once('(');
    let inner = inner.and_then(|(_, rest)| rest.strip_suffix(')'));
    let name = inner.unwrap_or(presented).trim_matches('"');
    name.escape_debug().to_string()
}

/// Writes seconds since 1970 as a date and time in UTC (RFC 3339), by the algorithm of days in eras of 400 years.
pub(crate) fn date(seconds: u64) -> String {
    let days = i64::try_from(seconds / 86_400).unwrap_or(i64::MAX / 2);
    let (time, shifted) = (seconds % 86_400, days + 719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months are counted from March here, so that a leap day is the last of its year.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 {
        (month + 3, year_of_era + era * 400)
    } else {
        (month - 9, year_of_era + era * 400 + 1)
    };
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        time / 3_600,
        time / 60 % 60,
        time % 60
    )
}

#[cfg(test)]
mod tests {
    use super::date;

    /// Expected values are those of `date -u -d @SECONDS`.
    #[test]
    fn dates_are_written_in_utc() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_164_800, "2024-02-29 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }
}
