//! One request with a proof, whatever its kind.

use super::{
    exit::{CommandError, FAILED, NOT_ASKED, REFUSED},
    request::{RequestArguments, Task},
};
use crate::{
    failure::Failure,
    files::{named, say_bytes},
    inspect::visible,
};
use axum::http::{HeaderMap, Response, StatusCode, header};
use bytes::Bytes;
use chanbind::{
    client::{Answer, Connection, ResponseBody, Session},
    proof::KeyHolder,
    protocol::proof::{Outcome, Prover},
};
use http_body_util::BodyExt;
use std::{fs::File, io::Write, process::ExitCode};

/// The end of an exchange: the response has been written out.
pub(super) struct Done {
    pub(super) status: StatusCode,
    pub(super) outcome: Outcome,
    declined: Option<String>,
    /// The kinds of proof that the gateway asks for, by their subcommands.
    asked: Vec<&'static str>,
    kind: &'static str,
}

/// Sends the request on a new connection, and writes the response out. Gives the session too.
pub(super) async fn exchange<P, K>(
    arguments: &RequestArguments,
    task: Task,
    prover: P,
    key: K,
) -> Result<(Done, Session<P, K>), Failure>
where
    P: Prover<Failure: Send + Sync + 'static>,
    K: KeyHolder,
{
    let connection = task.open().await?;
    let kind = prover.kind();
    let mut session = Session::begin(connection, prover, key).await?;
    if task.authenticates_first {
        let first = session
            .send(Connection::get(&arguments.target.url)?)
            .await?;
        let is_verified = first.outcome == Outcome::Proved || !session.prover().verifies_server();
        if first.outcome == Outcome::NotAsked && !is_verified {
            let text = "the server has not proved that it is its own: the request with its content was not sent";
            return Err(CommandError::not_asked(text).into());
        }
        if !is_verified {
            // The content is for a server that has proved itself.
            let (done, _) = Done::of(first, kind);
            eprintln!("{}", done.status);
            return Ok((done, session));
        }
        first.response.into_body().bytes(MAX_DISCARDED).await?;
    }
    let (done, response) = Done::of(session.send(task.request).await?, kind);
    let outcome = done.outcome;
    eprintln!("{}", done.status);
    if outcome == Outcome::Proved || !session.prover().verifies_server() {
        write(arguments, response).await?;
    } else {
        eprintln!("nothing of the response is shown: the server has not proved that it is its own");
    }
    Ok((done, session))
}

/// The longest response to the request that comes before the one with content, in bytes.
const MAX_DISCARDED: usize = 256 * 1024;

impl Done {
    fn of(answer: Answer, kind: &'static str) -> (Self, Response<ResponseBody>) {
        let Answer {
            response,
            outcome,
            declined,
            ..
        } = answer;
        let done = Self {
            status: response.status(),
            outcome,
            declined,
            asked: asked(response.headers()),
            kind,
        };
        (done, response)
    }

    /// Says what came of the proof. `advice` is the kind's, for a proof that was refused.
    pub(super) fn report(&self, advice: impl FnOnce(StatusCode) -> String) -> ExitCode {
        match self.outcome {
            Outcome::Proved if is_error(self.status) => {
                eprintln!(
                    "the proof ({}) was not refused, but the response is an error",
                    self.kind
                );
                ExitCode::from(FAILED)
            }
            Outcome::Proved => {
                eprintln!("admitted by the proof ({})", self.kind);
                ExitCode::SUCCESS
            }
            Outcome::NotAsked => {
                eprintln!(
                    "answered without asking for a proof: the response says nothing about this device"
                );
                ExitCode::from(NOT_ASKED)
            }
            Outcome::Refused => {
                eprintln!("{}", self.reason(advice));
                ExitCode::from(REFUSED)
            }
        }
    }

    fn reason(&self, advice: impl FnOnce(StatusCode) -> String) -> String {
        if !self.asked.is_empty() && !self.asked.contains(&self.kind) {
            return format!(
                "the gateway did not admit this device by this kind of proof ({}) alone: it asks for another; connect with `chanbind connect {}`",
                self.kind,
                self.asked.join("` or `chanbind connect ")
            );
        }
        match &self.declined {
            Some(reason) => format!("{reason}\n{}", advice(self.status)),
            None => advice(self.status),
        }
    }
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// Returns the kinds of proof whose challenges the response has.
fn asked(headers: &HeaderMap) -> Vec<&'static str> {
    const SCHEMES: [(&str, &str); 4] = [
        ("chanbind", chanbind::proof::otp::KIND),
        (
            "exported-authenticator",
            chanbind::proof::authenticator::KIND,
        ),
        ("blessing", chanbind::proof::blessing::KIND),
        ("mutual", chanbind::proof::mutual::KIND),
    ];
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
    let schemes: Vec<String> = values
        .filter_map(|value| Some(value.to_str().ok()?.split(' ').next()?.to_ascii_lowercase()))
        .collect();
    let asked = SCHEMES
        .iter()
        .filter(|(scheme, _)| schemes.iter().any(|one| one == scheme));
    asked.map(|(_, kind)| *kind).collect()
}

async fn write(
    arguments: &RequestArguments,
    response: Response<ResponseBody>,
) -> Result<(), Failure> {
    let (head, mut body) = response.into_parts();
    if arguments.include {
        let mut text = format!("{:?} {}\r\n", head.version, head.status);
        for (name, value) in &head.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            text += &format!("{name}: {}\r\n", visible(&value));
        }
        text += "\r\n";
        say_bytes(text.as_bytes())?;
    }
    let mut file = match &arguments.output {
        Some(path) => Some((
            path,
            File::create(path).map_err(|error| named(path, error))?,
        )),
        None => None,
    };
    while let Some(frame) = body.frame().await {
        let Ok(data): Result<Bytes, _> = frame?.into_data() else {
            continue;
        };
        match &mut file {
            Some((path, file)) => file.write_all(&data).map_err(|error| named(path, error))?,
            None => say_bytes(&data)?,
        }
    }
    Ok(())
}
