//! The gateway's side of the toy.

use super::{CLIENT, KIND, NONCE_LEN, PROOF, SERVER_PROOF, input};
use crate::hold::Hold;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header::WWW_AUTHENTICATE};
use chanbind::{
    gateway::Channel,
    proof::{Fields, Identity, Recipient, Refusal, RequestHead, Verdict, Verification, Verifier},
};
use chanbind_core::{
    binding::{ChannelBinding, DirectionTags, Side},
    crypto::equal,
    kdf::{HmacSha256, Prf},
};
use rand_core::{OsRng, RngCore};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// Verifies proofs by the secrets of a table.
pub(crate) struct ToyVerifier {
    id: u64,
    clients: HashMap<String, HmacSha256>,
    decoy: HmacSha256,
    look_ups: Hold,
}

/// The details of an identity that was proved by a toy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ToyDetails {
    /// The nonce that the client answered.
    pub(crate) nonce: [u8; NONCE_LEN],
}

/// The state of one connection.
#[derive(Default)]
struct State {
    /// The nonce that is unanswered.
    nonce: Option<[u8; NONCE_LEN]>,
    proved: Option<Identity>,
}

type SharedState = Mutex<State>;

impl ToyVerifier {
    pub(super) fn new(
        clients: impl IntoIterator<Item = (String, Vec<u8>)>,
        look_ups: Hold,
    ) -> Arc<Self> {
        let clients = clients.into_iter();
        Arc::new(Self {
            id: Channel::new_owner(),
            clients: clients
                .map(|(name, secret)| (name, HmacSha256::new(&secret)))
                .collect(),
            decoy: HmacSha256::new(b"decoy"),
            look_ups,
        })
    }

    fn check(
        &self,
        tags: &DirectionTags,
        nonce: [u8; NONCE_LEN],
        (client, proof): (String, [u8; 32]),
        state: &SharedState,
    ) -> Verdict {
        let known = self.clients.get(&client);
        let key = known.unwrap_or(&self.decoy);
        let mac = |side| {
            let mut mac = [0; 32];
            let Ok(()) =
                (&mut &*key).compute(&input(tags, side, &nonce, &client)[..].into(), &mut mac);
            mac
        };
        if !equal(&mac(Side::Client), &proof) || known.is_none() {
            return Verdict::Refused(Refusal::not_proved("wrong toy"));
        }
        let server_proof = hex::encode(mac(Side::Server));
        let identity = Identity::new(client, KIND, ToyDetails { nonce });
        state.lock().unwrap().proved = Some(identity.clone());
        let name = HeaderName::from_static(SERVER_PROOF);
        Verdict::Accepted {
            identity,
            fields: vec![(name, server_proof.parse().unwrap())],
        }
    }

    fn judge(
        self: Arc<Self>,
        channel: &Channel,
        request: &RequestHead<'_>,
    ) -> Result<Verification, Refusal> {
        let state: Arc<SharedState> = channel.state(self.id, SharedState::default);
        let ready = |verdict| Ok(Verification::Ready(verdict));
        let mut locked = state.lock().unwrap();
        if let Some(identity) = &locked.proved {
            return ready(Verdict::accepted(identity.clone()));
        }
        let Some(client) = once(request, CLIENT)?.map(str::to_owned) else {
            return match once(request, PROOF)? {
                None => ready(Verdict::Absent),
                Some(_) => Err(Refusal::malformed("a toy proof without a client")),
            };
        };
        let Some(proof) = once(request, PROOF)? else {
            let nonce = *locked.nonce.get_or_insert_with(|| {
                let mut nonce = [0; NONCE_LEN];
                OsRng.fill_bytes(&mut nonce);
                nonce
            });
            let fields: Fields = vec![(WWW_AUTHENTICATE, challenge(&nonce))];
            return ready(Verdict::Continue { fields });
        };
        let mut decoded = [0; 32];
        let is_lower = !proof.bytes().any(|byte| byte.is_ascii_uppercase());
        if hex::decode_to_slice(proof, &mut decoded).is_err() || !is_lower {
            return Err(Refusal::malformed("the toy proof is not 64 digits"));
        }
        let Some(nonce) = locked.nonce.take() else {
            return Err(Refusal::not_proved("no nonce is unanswered"));
        };
        drop(locked);
        let binding = ChannelBinding::tls_exporter(&channel.exporter());
        let tags = binding.map_err(Refusal::internal)?.direction_tags();
        Ok(Verification::Pending(Box::pin(async move {
            self.look_ups.pass().await;
            self.check(&tags, nonce, (client, decoded), &state)
        })))
    }
}

impl Verifier for ToyVerifier {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn verify(self: Arc<Self>, channel: &Channel, request: &RequestHead<'_>) -> Verification {
        self.judge(channel, request)
            .unwrap_or_else(|refusal| Verification::Ready(Verdict::Refused(refusal)))
    }

    fn challenges(&self, _: &Channel) -> Result<Vec<HeaderValue>, Refusal> {
        Ok(vec![HeaderValue::from_static("Toy realm=\"toy\"")])
    }

    fn remove_proof(&self, _: Recipient, headers: &mut HeaderMap) {
        headers.remove(CLIENT);
        headers.remove(PROOF);
    }
}

fn once<'r>(request: &RequestHead<'r>, name: &str) -> Result<Option<&'r str>, Refusal> {
    let mut values = request.headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::to_str).transpose();
    let value = value.map_err(Refusal::malformed)?;
    if values.next().is_some() || value.is_some_and(str::is_empty) {
        return Err(Refusal::malformed(format_args!(
            "{name} is empty or occurs twice"
        )));
    }
    Ok(value)
}

/// Returns the challenge with a nonce.
pub(super) fn challenge(nonce: &[u8; NONCE_LEN]) -> HeaderValue {
    let challenge = format!("Toy nonce=\"{}\"", hex::encode(nonce));
    challenge.parse().unwrap()
}
