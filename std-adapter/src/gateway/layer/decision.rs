//! The decisions about requests: which verifiers are asked, and what their verdicts amount to.

use super::{Session, Shared};
use crate::{
    gateway::{
        Channel, Event,
        policy::{Rule, Unreadable},
        requirement::Tree,
    },
    proof::{
        Fields, Identities, Identity, Recipient, Refusal, RefusalKind, RequestHead, ResponseFields,
        Verdict, Verification, Verifier,
    },
};
use axum::{
    body::Body,
    extract::NestedPath,
    http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header},
};
use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;

/// The treatment of a request.
pub(super) enum Decision {
    Made(Outcome),
    Pending(PendingOutcome, OwnedSemaphorePermit),
}

type PendingOutcome = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A decision before the limit on those that take time.
enum Judgement {
    Made(Outcome),
    Pending(PendingOutcome),
}

/// A decision, and what goes with it.
pub(super) struct Outcome {
    /// The identities that were proved, or the answer.
    result: Result<Option<Proved>, Box<Response<Body>>>,
    /// Fields of the response.
    fields: Fields,
}

/// The identities of a request, and the verifiers of its rule.
struct Proved {
    identities: Identities,
    verifiers: Arc<[Arc<dyn Verifier>]>,
    recipient: Recipient,
}

impl Outcome {
    /// Returns the outcome for a request that need not prove anything.
    fn exempt() -> Self {
        Self {
            result: Ok(None),
            fields: Fields::new(),
        }
    }

    /// Returns the outcome for a request that has proved what its rule asks for.
    fn proved(identities: Identities, fields: Fields, rule: &Rule, peer: Peer) -> Self {
        Self {
            result: Ok(Some(Proved {
                identities,
                verifiers: Arc::clone(&rule.verifiers),
                recipient: peer.recipient,
            })),
            fields,
        }
    }

    pub(super) fn apply<B>(
        self,
        mut request: Request<B>,
    ) -> Result<(Request<B>, Fields), Box<Response<Body>>> {
        match self.result {
            Ok(None) => {
                Identities::default().put(request.extensions_mut());
                Ok((request, self.fields))
            }
            Ok(Some(proved)) => {
                proved.identities.put(request.extensions_mut());
                for verifier in proved.verifiers.iter() {
                    verifier.remove_proof(proved.recipient, request.headers_mut());
                }
                Ok((request, self.fields))
            }
            Err(mut answer) => {
                append(answer.headers_mut(), self.fields);
                Err(answer)
            }
        }
    }
}

/// Where a request comes from.
struct Origin {
    channel: Option<Channel>,
    /// True inside of a nested router.
    is_nested: bool,
    peer: Peer,
}

#[derive(Clone, Copy)]
struct Peer {
    address: Option<SocketAddr>,
    version: Version,
    recipient: Recipient,
}

impl Shared {
    pub(super) fn decide<B>(self: &Arc<Self>, request: &Request<B>) -> Decision {
        let head = RequestHead {
            recipient: self.recipient,
            ..RequestHead::of(request)
        };
        let extensions = request.extensions();
        let origin = Origin {
            channel: extensions.get::<Channel>().cloned(),
            is_nested: extensions.get::<NestedPath>().is_some(),
            peer: Peer {
                address: extensions.get().copied(),
                version: request.version(),
                recipient: self.recipient,
            },
        };
        let (channel, peer) = (origin.channel.clone(), origin.peer);
        let pending = match self.respond_and_judge(request, &head, origin) {
            Judgement::Made(outcome) => return Decision::Made(outcome),
            Judgement::Pending(pending) => pending,
        };
        match Arc::clone(&self.pending).try_acquire_owned() {
            Ok(permit) => Decision::Pending(pending, permit),
            Err(_) => {
                let refusal = Refusal::new(
                    RefusalKind::Busy,
                    "too many proofs are being verified: see whether the registry or the TPM answers slowly, or raise the limit",
                );
                Decision::Made(self.refused(&refusal, channel.as_ref(), peer))
            }
        }
    }

    fn respond_and_judge<B>(
        self: &Arc<Self>,
        request: &Request<B>,
        head: &RequestHead<'_>,
        origin: Origin,
    ) -> Judgement {
        let responses = self.respond(origin.channel.as_ref(), head);
        if responses.is_empty() {
            return self.judge(head, &origin);
        }
        // What the client asks for comes first: a malformed question must not use up a proof.
        let shared = Arc::clone(self);
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let headers = request.headers().clone();
        Judgement::Pending(Box::pin(async move {
            let mut fields = Fields::new();
            for response in responses {
                match response.await {
                    Ok(more) => fields.extend(more),
                    Err(refusal) => {
                        return shared.refused(&refusal, origin.channel.as_ref(), origin.peer);
                    }
                }
            }
            let head = RequestHead {
                recipient: shared.recipient,
                method: &method,
                uri: &uri,
                version: origin.peer.version,
                headers: &headers,
            };
            let mut outcome = match shared.judge(&head, &origin) {
                Judgement::Made(outcome) => outcome,
                Judgement::Pending(pending) => pending.await,
            };
            outcome.fields.extend(fields);
            outcome
        }))
    }

    fn respond(&self, channel: Option<&Channel>, head: &RequestHead<'_>) -> Vec<ResponseFields> {
        let Some(channel) = channel else {
            return Vec::new();
        };
        let all = self.responders.iter();
        all.filter_map(|responder| Arc::clone(responder).respond(channel, head))
            .collect()
    }

    fn judge(self: &Arc<Self>, head: &RequestHead<'_>, origin: &Origin) -> Judgement {
        let peer = origin.peer;
        let channel = origin.channel.as_ref();
        let refuse = |refusal: &Refusal| Judgement::Made(self.refused(refusal, channel, peer));
        // A nested router has taken off the front of the path, and the rules are about whole paths.
        if origin.is_nested && self.policy.depends_on_paths() {
            return refuse(&Refusal::internal(
                "the layer is inside of Router::nest, and its policy has rules for paths: put it around the outermost router, or give it one rule for everything",
            ));
        }
        // The path that the inner service uses is judged, also where a middleware has rewritten it.
        let rule = match self.policy.rule_of(|| head.authority(), head.uri.path()) {
            Ok(Some(rule)) if !rule.is_exempt() => rule,
            Ok(_) => return Judgement::Made(Outcome::exempt()),
            Err(Unreadable::Host) => {
                return refuse(&Refusal::malformed(
                    "the request names no host, several, or a user: name one host",
                ));
            }
            Err(Unreadable::Path) => {
                return refuse(&Refusal::malformed(
                    "the path can be read in several ways: write it without encoded letters and separators, dot segments, parameters and control bytes, and in the case of the rules",
                ));
            }
        };
        let Some(channel) = channel else {
            return refuse(&Refusal::internal(
                "the server gave the request no Channel: serve it with chanbind::gateway::serve, or put one into its extensions",
            ));
        };
        self.verify(rule, channel, head, peer)
    }

    /// Asks the verifiers of a rule.
    fn verify(
        self: &Arc<Self>,
        rule: &Rule,
        channel: &Channel,
        head: &RequestHead<'_>,
        peer: Peer,
    ) -> Judgement {
        let verifications = rule.verifiers.iter();
        let verifications =
            verifications.map(|verifier| Arc::clone(verifier).verify(channel, head));
        // The usual rule has one verifier, whose verdict is there.
        if let [verifier] = &*rule.verifiers {
            let mut verifications = verifications;
            match verifications.next() {
                Some(Verification::Ready(Verdict::Accepted { identity, fields }))
                    if matches!(rule.tree, Tree::Leaf(_)) =>
                {
                    self.admit(channel, &identity, peer);
                    let proved = Outcome::proved(identity.into(), fields, rule, peer);
                    return Judgement::Made(proved);
                }
                Some(Verification::Ready(verdict)) => {
                    let verdicts = [(verifier, verdict)];
                    return Judgement::Made(self.conclude(rule, channel, peer, verdicts));
                }
                Some(Verification::Pending(pending)) => {
                    return self.conclude_later(
                        rule,
                        channel,
                        peer,
                        vec![Verification::Pending(pending)],
                    );
                }
                None => return Judgement::Made(Outcome::exempt()),
            }
        }
        let verifications: Vec<_> = verifications.collect();
        let is_ready = |one: &Verification| matches!(one, Verification::Ready(_));
        if !verifications.iter().all(is_ready) {
            return self.conclude_later(rule, channel, peer, verifications);
        }
        let verdicts = verifications.into_iter().map(|one| match one {
            Verification::Ready(verdict) => verdict,
            Verification::Pending(_) => Verdict::Absent,
        });
        let verdicts = rule.verifiers.iter().zip(verdicts);
        Judgement::Made(self.conclude(rule, channel, peer, verdicts))
    }

    fn conclude_later(
        self: &Arc<Self>,
        rule: &Rule,
        channel: &Channel,
        peer: Peer,
        verifications: Vec<Verification>,
    ) -> Judgement {
        let (shared, rule, channel) = (Arc::clone(self), rule.clone(), channel.clone());
        Judgement::Pending(Box::pin(async move {
            let mut verdicts = Vec::with_capacity(verifications.len());
            for verification in verifications {
                verdicts.push(match verification {
                    Verification::Ready(verdict) => verdict,
                    Verification::Pending(pending) => pending.await,
                });
            }
            let verdicts = rule.verifiers.iter().zip(verdicts);
            shared.conclude(&rule, &channel, peer, verdicts)
        }))
    }

    /// Makes the decision from the verdicts of a rule's verifiers, in their order.
    fn conclude<'v>(
        &self,
        rule: &Rule,
        channel: &Channel,
        peer: Peer,
        verdicts: impl IntoIterator<Item = (&'v Arc<dyn Verifier>, Verdict)>,
    ) -> Outcome {
        let mut identities = Vec::new();
        let (mut missing, mut fields) = (Vec::new(), Fields::new());
        let mut worst: Option<Refusal> = None;
        let (mut is_absent, mut exchange) = (true, Fields::new());
        for (at, (verifier, verdict)) in verdicts.into_iter().enumerate() {
            is_absent &= matches!(verdict, Verdict::Absent);
            match verdict {
                Verdict::Accepted {
                    identity,
                    fields: more,
                } => {
                    identities.push((at, identity));
                    fields.extend(more);
                }
                Verdict::Absent => missing.push(verifier),
                Verdict::Continue { fields: more } => exchange.extend(more),
                Verdict::Refused(mut refusal) => {
                    let more = refusal.take_fields();
                    if refusal.kind() == RefusalKind::NotProved && more.is_empty() {
                        missing.push(verifier);
                    }
                    exchange.extend(more);
                    let is_worse = |other: &Refusal| refusal.kind() > other.kind();
                    if worst.as_ref().is_none_or(is_worse) {
                        worst = Some(refusal);
                    }
                }
            }
        }
        let proved = |at| {
            let mut identities = identities.iter();
            identities.find_map(|(one, identity)| (*one == at).then_some(identity))
        };
        let mut used = Vec::new();
        let is_satisfied = rule.tree.is_satisfied(&proved, &mut used);
        if !is_satisfied && rule.tree.lacks_audience(&|at| proved(at).is_some()) {
            let names: Vec<_> = identities.iter().map(|(_, one)| one.subject()).collect();
            let reason = format!("{} may not use this path", names.join(", "));
            let refusal = Refusal::new(RefusalKind::Forbidden, reason);
            return self.refused(&refusal, Some(channel), peer);
        }
        if is_satisfied {
            identities.retain(|(at, _)| used.contains(at));
            let identities: Vec<_> = identities.into_iter().map(|(_, one)| one).collect();
            for identity in &identities {
                self.admit(channel, identity, peer);
            }
            return Outcome::proved(identities.into(), fields, rule, peer);
        }
        if rule.is_optional && is_absent {
            return Outcome::exempt();
        }
        let is_refused = worst.is_some();
        let refusal = worst.unwrap_or_else(|| Refusal::new(RefusalKind::NotProved, "no proof"));
        let mut challenges = Vec::new();
        if refusal.kind() == RefusalKind::NotProved {
            for verifier in missing {
                match verifier.challenges(channel) {
                    Ok(more) => challenges.extend(more),
                    Err(refusal) => return self.refused(&refusal, Some(channel), peer),
                }
            }
        } else {
            exchange.clear();
        }
        if is_refused {
            self.note_refusal(&refusal, Some(channel), peer);
        } else if exchange.is_empty() {
            // Usually the first request of a client that waits to be asked.
            let status = peer.recipient.status().as_u16();
            tracing::info!(peer = address(peer), status, "proof asked for");
            self.observe(&Event::Asked { peer: peer.address });
        }
        // The exchange of one kind goes on, although the proof of another is wrong or missing.
        Outcome {
            result: Err(Box::new(answer(&refusal, peer, challenges))),
            fields: exchange,
        }
    }

    /// Notes an identity that has been proved.
    fn admit(&self, channel: &Channel, identity: &Identity, peer: Peer) {
        let session = channel.state(self.id, Session::default);
        let (is_known, is_only) = {
            let mut identities = session.identities();
            let is_known = identities.iter().any(|one| one.is_same_subject(identity));
            if !is_known {
                identities.push(identity.clone());
            }
            (is_known, identities.len() == 1)
        };
        self.observe(&Event::Admitted {
            peer: peer.address,
            channel,
            identity,
            is_first: !is_known,
        });
        if is_known {
            tracing::debug!(subject = identity.subject(), "proof accepted");
            return;
        }
        if is_only {
            self.channels().push(channel.downgrade());
        }
        tracing::info!(
            peer = address(peer),
            subject = identity.subject(),
            kind = identity.kind(),
            "proof accepted"
        );
    }

    /// Refuses a request, and notes why.
    fn refused(&self, refusal: &Refusal, channel: Option<&Channel>, peer: Peer) -> Outcome {
        self.note_refusal(refusal, channel, peer);
        Outcome {
            result: Err(Box::new(answer(refusal, peer, Vec::new()))),
            fields: Fields::new(),
        }
    }

    fn note_refusal(&self, refusal: &Refusal, channel: Option<&Channel>, peer: Peer) {
        self.observe(&Event::Refused {
            peer: peer.address,
            channel,
            refusal,
        });
        let status = status(refusal, peer);
        if refusal.kind() == RefusalKind::Internal {
            tracing::error!(peer = address(peer), reason = %refusal, "request refused");
        } else {
            tracing::info!(peer = address(peer), %status, reason = %refusal, "request refused");
        }
    }
}

fn address(peer: Peer) -> Option<tracing::field::DisplayValue<SocketAddr>> {
    peer.address.map(tracing::field::display)
}

fn status(refusal: &Refusal, peer: Peer) -> StatusCode {
    match refusal.kind() {
        RefusalKind::NotProved => peer.recipient.status(),
        kind => kind.status(),
    }
}

fn answer(refusal: &Refusal, peer: Peer, challenges: Vec<HeaderValue>) -> Response<Body> {
    let mut response = Response::new(Body::from(refusal.message()));
    *response.status_mut() = status(refusal, peer);
    let headers = response.headers_mut();
    for challenge in challenges {
        headers.append(peer.recipient.challenge_field(), challenge);
    }
    if refusal.kind() == RefusalKind::Busy {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    // HTTP/2 has no such field.
    if refusal.kind() == RefusalKind::Exhausted && peer.version < Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

pub(super) fn append(headers: &mut HeaderMap, fields: Fields) {
    for (name, value) in fields {
        headers.append(name, value);
    }
}
