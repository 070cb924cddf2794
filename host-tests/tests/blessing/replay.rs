//! The recorded handshakes, replayed through both state machines with the recorded randomness.

use crate::recorded::{list, live, octets, text};
use chanbind::proof::blessing::ALGORITHMS;
use chanbind_core::blessing::{
    EncodedBlessings, SigningRequest,
    channel::{
        Acceptor, Acquainted, ChannelMemory, Connection, Dialer, Event, FRAME_HEADER_LEN,
        PeerDischarges, Presented, Progress, Setup, Versions, WaitClient, frame_len,
    },
};
use chanbind_core::proof::KeyRequest;
use serde_json::Value;

const LEN: usize = 8192;

type Memory = Box<ChannelMemory<LEN>>;

/// A buffer for the longest frames.
fn buffer() -> Vec<u8> {
    vec![0; 16_384]
}

/// The frames of a recording in their order.
struct Recording {
    handshake: &'static Value,
    messages: Vec<(&'static str, &'static Value)>,
}

impl Recording {
    fn new(handshake: &'static Value) -> Self {
        let messages = list(&handshake["messages"]);
        let messages = messages
            .iter()
            .map(|message| (text(&message["from"]), message));
        Self {
            handshake,
            messages: messages.collect(),
        }
    }

    /// Returns the body of a frame as it was delivered.
    fn body(message: &Value) -> Vec<u8> {
        let frame = match &message["delivered"] {
            Value::Null => octets(&message["frame"]),
            delivered => octets(delivered),
        };
        body(&frame)
    }

    /// Returns the frame that an end wrote as its `nth`.
    fn frame(&self, from: &str, nth: usize) -> Option<Vec<u8>> {
        let mut own = self.messages.iter().filter(|(by, _)| *by == from);
        own.nth(nth).map(|(_, message)| octets(&message["frame"]))
    }

    /// Returns the bodies of the frames of an end, from the `nth` one on, until the one with its Auth message.
    fn proof(&self, from: &str) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        for (by, message) in &self.messages[..] {
            if *by != from || message["message"]["type"] == "Setup" {
                continue;
            }
            bodies.push(Self::body(message));
            if message["message"]["type"] == "Auth" {
                break;
            }
        }
        bodies
    }

    fn setup(&self, of: &str) -> Setup<'static> {
        let mut own = self.messages.iter().filter(|(by, _)| *by == of);
        let setup = &own.next().unwrap().1["message"];
        let endpoint = |name: &str| setup[name].as_str().unwrap_or_default();
        Setup {
            versions: Versions {
                min: setup["min"].as_u64().unwrap(),
                max: setup["max"].as_u64().unwrap(),
            },
            remote_endpoint: endpoint("remote_endpoint"),
            local_endpoint: endpoint("local_endpoint"),
            mtu: setup["mtu"].as_u64().unwrap(),
            shared_tokens: setup["shared_tokens"].as_u64().unwrap(),
        }
    }

    fn secret(&self, of: &str) -> [u8; 32] {
        octets(&self.handshake["nacl_secret"][of])
            .try_into()
            .unwrap()
    }

    /// Returns the signature in an end's Auth message, as the holder of the key gives it.
    fn answer(&self, of: &str) -> Vec<u8> {
        let mut own = self
            .messages
            .iter()
            .filter(|(by, message)| *by == of && message["message"]["type"] == "Auth");
        let auth = &own.next().unwrap().1["message"];
        match &auth["ed25519"] {
            Value::Null => der(&octets(&auth["r"]), &octets(&auth["s"])),
            signature => octets(signature),
        }
    }
}

fn body(frame: &[u8]) -> Vec<u8> {
    let (header, body) = frame.split_first_chunk::<FRAME_HEADER_LEN>().unwrap();
    assert_eq!(frame_len(*header, 1 << 20), Ok(body.len()));
    body.to_vec()
}

/// Encodes an ECDSA signature in DER.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |value: &[u8]| {
        let sign: &[u8] = if value[0] & 0x80 == 0 { &[] } else { &[0] };
        let len = u8::try_from(sign.len() + value.len()).unwrap();
        [&[2, len], sign, value].concat()
    };
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], &both[..]].concat()
}

/// Both ends after the handshake.
struct Ends {
    dialer: Connection<Memory, LEN>,
    acceptor: Connection<Memory, LEN>,
}

/// Returns the blessings in an encoding of their own, and the discharges.
fn copies(
    blessings: &chanbind_core::blessing::Blessings<'_>,
    discharges: PeerDischarges<'_>,
) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut out = vec![0; LEN];
    let blessings = blessings.encode(&mut out).unwrap().to_vec();
    let mut all = Vec::new();
    discharges
        .for_each(&mut |discharge| {
            let mut out = vec![0; LEN];
            all.push(discharge.encode(&mut out).unwrap().to_vec());
            true
        })
        .unwrap();
    (blessings, all)
}

/// Calls `f` with what an end presents.
fn presenting<T>(
    (blessings, discharges): &(Vec<u8>, Vec<Vec<u8>>),
    f: impl FnOnce(&Presented<'_>) -> T,
) -> T {
    let encoded = EncodedBlessings::parse(blessings).unwrap();
    let discharges: Vec<&[u8]> = discharges.iter().map(Vec::as_slice).collect();
    f(&Presented {
        blessings: encoded.blessings(),
        discharges: &discharges,
    })
}

/// Checks that a request is for the message that the recorded signature is over.
fn check_request(request: &SigningRequest, message: &Value) {
    let KeyRequest::Sign { message: own, .. } = request.key_request() else {
        panic!("{request:?}", request = request.key_request());
    };
    let signed = &message["message"]["signed"];
    let digest = octets(&signed["digest"]);
    let own = match digest.len() {
        32 => chanbind_core::crypto::sha256(own).to_vec(),
        // The request of P-384 is hashed by its holder, and that of Ed25519 is a digest.
        48 => <sha2::Sha384 as sha2::Digest>::digest(own).to_vec(),
        _ => own.to_vec(),
    };
    assert_eq!(own, digest);
}

fn auth_of(recording: &Recording, from: &str) -> &'static Value {
    let mut own = recording
        .messages
        .iter()
        .filter(|(by, message)| *by == from && message["message"]["type"] == "Auth");
    own.next().unwrap().1
}

/// Starts both ends, and takes both Setups.
fn set_up(
    recording: &Recording,
) -> (
    chanbind_core::blessing::channel::WaitAuth<Memory, LEN>,
    chanbind_core::blessing::channel::WaitProof<Memory, LEN>,
) {
    let mut out = buffer();
    let (dialer, len) = Dialer::begin(
        &recording.setup("dialer"),
        &recording.secret("dialer"),
        Memory::new(ChannelMemory::new()),
        &mut out,
    )
    .unwrap();
    assert_eq!(Some(&out[..len]), recording.frame("dialer", 0).as_deref());
    let (acceptor, len) = Acceptor::begin(
        &recording.setup("acceptor"),
        &recording.secret("acceptor"),
        Memory::new(ChannelMemory::new()),
        &mut out,
    )
    .unwrap();
    assert_eq!(Some(&out[..len]), recording.frame("acceptor", 0).as_deref());
    let delivered = |from: &str| {
        let mut own = recording.messages.iter().filter(|(by, _)| *by == from);
        Recording::body(own.next().unwrap().1)
    };
    let dialer = dialer.setup(&delivered("acceptor")).unwrap();
    let acceptor = acceptor.setup(&delivered("dialer")).unwrap();
    (dialer, acceptor)
}

/// Gives the acceptor's frames to the dialer.
fn acquaint(
    recording: &Recording,
    dialer: chanbind_core::blessing::channel::WaitAuth<Memory, LEN>,
) -> Acquainted<Memory, LEN> {
    let mut dialer = dialer;
    for mut body in recording.proof("acceptor") {
        match dialer.receive(&mut body, &ALGORITHMS).unwrap() {
            Progress::Wait(next) => dialer = next,
            Progress::Done(acquainted) => return acquainted,
        }
    }
    panic!("the acceptor has not proved itself");
}

/// Returns the frames that an end has recorded, from its first sealed one to its Auth message.
fn recorded_proof(recording: &Recording, from: &str) -> Vec<u8> {
    (1..)
        .map_while(|nth| recording.frame(from, nth))
        .take(recording.proof(from).len())
        .flatten()
        .collect()
}

fn handshake(recording: &Recording) -> Option<Ends> {
    let (dialer, acceptor) = set_up(recording);
    let acquainted = acquaint(recording, dialer);
    let verified = acquainted.blessings(&ALGORITHMS).unwrap();
    let mut out = buffer();

    // The acceptor writes what it has written.
    let own = copies(verified.blessings(), acquainted.discharges().unwrap());
    let request = acceptor.request(verified.public_key()).ok()?;
    check_request(&request, auth_of(recording, "acceptor"));
    let signature = request.finish(&recording.answer("acceptor")).unwrap();
    let (acceptor, len) = presenting(&own, |presented| {
        acceptor.prove(presented, &signature, &mut out).unwrap()
    });
    assert_eq!(out[..len], recorded_proof(recording, "acceptor"));

    if recording.proof("dialer").len() < 2 {
        // The dialer has refused: it shows nothing.
        let text = octets(&recording.messages.last().unwrap().1["plain"]);
        let text = String::from_utf8(text[1..].to_vec()).unwrap();
        let len = acquainted.refuse(&text, &mut out).unwrap();
        assert_eq!(Some(&out[..len]), recording.frame("dialer", 1).as_deref());
        return None;
    }
    let acceptor = admit(recording, acceptor);
    let (blessings_key, discharge_key) = acceptor.peer_keys();
    let verified = acceptor.verified(blessings_key, &ALGORITHMS).unwrap();
    let own = copies(
        verified.blessings(),
        acceptor.discharges(discharge_key).unwrap(),
    );
    let request = acquainted.request(verified.public_key()).ok()?;
    check_request(&request, auth_of(recording, "dialer"));
    let signature = request.finish(&recording.answer("dialer")).unwrap();
    let (dialer, len) = presenting(&own, |presented| {
        acquainted.prove(presented, &signature, &mut out).unwrap()
    });
    assert_eq!(out[..len], recorded_proof(recording, "dialer"));
    Some(Ends { dialer, acceptor })
}

fn admit(recording: &Recording, acceptor: WaitClient<Memory, LEN>) -> Connection<Memory, LEN> {
    let mut acceptor = acceptor;
    for mut body in recording.proof("dialer") {
        match acceptor.receive(&mut body, &ALGORITHMS).unwrap() {
            Progress::Wait(next) => acceptor = next,
            Progress::Done(connection) => return connection,
        }
    }
    panic!("the dialer has not proved itself");
}

/// Replays the messages after the handshake: each end takes those of the other one, and writes its own.
fn replay(recording: &Recording, ends: Ends) {
    let mut ends = ends;
    let mut skip = [
        recording.proof("dialer").len() + 1,
        recording.proof("acceptor").len() + 1,
    ];
    for (from, message) in &recording.messages {
        let is_dialer = *from == "dialer";
        let skipped = &mut skip[usize::from(!is_dialer)];
        if *skipped > 0 {
            *skipped -= 1;
            continue;
        }
        let (writer, reader) = if is_dialer {
            (&mut ends.dialer, &mut ends.acceptor)
        } else {
            (&mut ends.acceptor, &mut ends.dialer)
        };
        step(message, writer, reader);
    }
}

fn step(
    message: &Value,
    writer: &mut Connection<Memory, LEN>,
    reader: &mut Connection<Memory, LEN>,
) {
    let frame = octets(&message["frame"]);
    let mut body = body(&frame);
    let plain = octets(&message["plain"]);
    let fields = &message["message"];
    let mut out = buffer();
    let event = reader.receive(&mut body).unwrap();
    let payload_len = usize::try_from(fields["payload_length"].as_u64().unwrap_or(0)).unwrap();
    let payload = &plain[plain.len() - payload_len..];
    let closes = fields["flags"].as_u64().unwrap_or(0) & 1 == 1;
    let number = |name: &str| fields[name].as_u64().unwrap();
    let len = match (text(&fields["type"]), event) {
        ("OpenFlow", Event::Opened { flow, .. }) => {
            let keys = (number("blessings_key"), number("discharge_key"));
            let (own, len) = writer.open(keys, payload, &mut out).unwrap();
            assert_eq!(own, flow);
            len
        }
        ("Data", Event::Presented) => present(fields, writer, reader, &mut out),
        // The flow may be closed already.
        ("Data", Event::Data { .. } | Event::Ignored) => {
            let flow = number("flow");
            writer.send(flow, payload, closes, &mut out).unwrap()
        }
        ("TearDown", Event::TearDown { text }) => writer.tear_down(text, &mut out).unwrap(),
        (kind, event) => panic!("{kind}: {event:?}"),
    };
    assert_eq!(out[..len], frame, "{fields}");
}

/// Writes the blessings and discharges that `reader` has read. Returns the length of the frames.
fn present(
    fields: &Value,
    writer: &mut Connection<Memory, LEN>,
    reader: &Connection<Memory, LEN>,
    out: &mut [u8],
) -> usize {
    let of = |name: &str| {
        let mut elements = list(&fields["flow1"]).iter();
        elements.find_map(|element| element[name].as_u64())
    };
    let discharges = reader
        .discharges(of("discharges_key").unwrap_or(0))
        .unwrap();
    let key = of("blessings_key")
        .or_else(|| of("for_blessings_key"))
        .unwrap();
    let verified = reader.verified(key, &ALGORITHMS).unwrap();
    let own = copies(verified.blessings(), discharges);
    presenting(&own, |presented| {
        if of("blessings_key").is_none() {
            let written = writer.present_discharges(key, presented.discharges, out);
            return written.unwrap().1;
        }
        writer.present(presented, out).unwrap().2
    })
}

#[test]
fn both_ends_write_the_recorded_frames() {
    let mut complete = 0;
    for entry in list(&live()["handshakes"]) {
        let id = text(&entry["id"]);
        eprintln!("{id}");
        // The ends of these had no version in common, or other views of the Setups.
        if ["j_version_none", "q_meddled_one_setup", "q3_meddled_mtu"].contains(&id) {
            continue;
        }
        let recording = Recording::new(entry);
        if let Some(ends) = handshake(&recording) {
            complete += 1;
            if entry["level"] == "conn" {
                replay(&recording, ends);
            }
        }
    }
    assert!(complete > 15, "{complete}");
}
