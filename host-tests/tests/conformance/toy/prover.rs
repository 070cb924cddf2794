//! The client's side of the toy.

use super::{CLIENT, KIND, NONCE_LEN, PROOF, SERVER_PROOF, input};
use chanbind_core::{
    binding::{ChannelBinding, DirectionTags, Side},
    exporter::Exporter,
    proof::{FieldSink, Inputs, KeyRequest, Outcome, Prover, RequestTarget, ResponseHead, Step},
};
use std::fmt;

/// A prover that also demands the gateway's proof.
pub(crate) struct ToyProver {
    client: &'static str,
    tags: Option<DirectionTags>,
    state: State,
}

enum State {
    /// Nothing was asked for yet.
    Named,
    /// The key computes the MAC of this client.
    Proving {
        nonce: [u8; NONCE_LEN],
        input: Vec<u8>,
    },
    /// The key computes the MAC that the gateway must send.
    Expecting { own: Vec<u8>, input: Vec<u8> },
    /// Both MACs are there.
    Ready {
        own: Vec<u8>,
        expected: Vec<u8>,
        is_sent: bool,
    },
    /// Both sides have proved themselves on this connection.
    Proved,
}

/// The reason why a toy's exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToyFailure {
    Channel,
    Order,
    NoRoom,
    ServerNotProved,
}

impl fmt::Display for ToyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Channel => "the channel has no binding",
            Self::Order => "the prover was called out of order",
            Self::NoRoom => "the buffer for header fields is too small",
            Self::ServerNotProved => "the server has not proved that it has the secret",
        })
    }
}

impl std::error::Error for ToyFailure {}

impl ToyProver {
    pub(crate) fn new(client: &'static str) -> Self {
        Self {
            client,
            tags: None,
            state: State::Named,
        }
    }

    fn step(&self) -> Step<'_, ToyFailure> {
        match &self.state {
            State::Proving { input, .. } | State::Expecting { input, .. } => {
                Step::Key(KeyRequest::Hmac(input.as_slice().into()))
            }
            State::Ready { .. } => Step::Send,
            State::Named | State::Proved => Step::Failed(ToyFailure::Order),
        }
    }
}

impl Prover for ToyProver {
    type Failure = ToyFailure;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn begin(&mut self, channel: &dyn Exporter, _: &Inputs<'_>) -> Step<'_, ToyFailure> {
        self.state = State::Named;
        let binding = ChannelBinding::tls_exporter(&channel);
        self.tags = binding.ok().map(|binding| binding.direction_tags());
        match self.tags {
            Some(_) => Step::Send,
            None => Step::Failed(ToyFailure::Channel),
        }
    }

    fn answered(&mut self, answer: &[u8]) -> Step<'_, ToyFailure> {
        let Some(tags) = &self.tags else {
            return Step::Failed(ToyFailure::Order);
        };
        self.state = match std::mem::replace(&mut self.state, State::Named) {
            State::Proving { nonce, .. } => State::Expecting {
                own: answer.to_vec(),
                input: input(tags, Side::Server, &nonce, self.client),
            },
            State::Expecting { own, .. } => State::Ready {
                own,
                expected: answer.to_vec(),
                is_sent: false,
            },
            _ => return Step::Failed(ToyFailure::Order),
        };
        self.step()
    }

    fn write_fields(
        &mut self,
        _: &RequestTarget<'_>,
        _: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), ToyFailure> {
        let mut put = |name, value: &str| out.put(name, value).map_err(|_| ToyFailure::NoRoom);
        match &mut self.state {
            State::Named => put(CLIENT, self.client),
            State::Ready { own, is_sent, .. } => {
                *is_sent = true;
                put(CLIENT, self.client)?;
                put(PROOF, &hex::encode(own))
            }
            State::Proved => Ok(()),
            State::Proving { .. } | State::Expecting { .. } => Err(ToyFailure::Order),
        }
    }

    fn response(&mut self, head: &dyn ResponseHead, _: &Inputs<'_>) -> Step<'_, ToyFailure> {
        let (status, Some(tags)) = (head.status(), &self.tags) else {
            return Step::Failed(ToyFailure::Order);
        };
        match &self.state {
            State::Ready { is_sent: true, .. } if matches!(status, 401 | 403) => {
                self.state = State::Named;
                Step::Done(Outcome::Refused)
            }
            State::Ready {
                expected,
                is_sent: true,
                ..
            } => {
                let proof = head.field(SERVER_PROOF, 0).map(hex::decode);
                let is_proved = matches!(proof, Some(Ok(proof)) if proof == *expected);
                self.state = if is_proved {
                    State::Proved
                } else {
                    State::Named
                };
                match is_proved {
                    true => Step::Done(Outcome::Proved),
                    false => Step::Failed(ToyFailure::ServerNotProved),
                }
            }
            State::Proved if !matches!(status, 401 | 403) => Step::Done(Outcome::Proved),
            _ if status == 401 => {
                let mut lines = (0..).map_while(|nth| head.field("www-authenticate", nth));
                let Some(nonce) = lines.find_map(nonce) else {
                    return Step::Done(Outcome::Refused);
                };
                let input = input(tags, Side::Client, &nonce, self.client);
                self.state = State::Proving { nonce, input };
                self.step()
            }
            _ if status == 403 => Step::Done(Outcome::Refused),
            _ => Step::Done(Outcome::NotAsked),
        }
    }
}

/// Returns the nonce in a value of WWW-Authenticate.
pub(super) fn nonce(value: &[u8]) -> Option<[u8; NONCE_LEN]> {
    let text = str::from_utf8(value).ok()?;
    let digits = text.strip_prefix("Toy nonce=\"")?.strip_suffix('"')?;
    hex::decode(digits).ok()?.try_into().ok()
}
