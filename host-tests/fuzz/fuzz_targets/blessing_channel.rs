//! Vanadium's channel against a peer that has the key of the box, and sends any messages: every signature is accepted.
#![no_main]

#[path = "../shared/accept_all.rs"]
mod accept_all;
mod crypto {
    pub use chanbind_core::crypto::SecretBytes;
}
/// The peer seals its messages as this crate does.
#[path = "../../../core/src/blessing/channel/seal.rs"]
#[allow(dead_code, reason = "the peer opens nothing")]
mod seal;

use accept_all::algorithms;
use chanbind_core::blessing::{
    Algorithms, Caveats, Certificate, EncodedBlessings, OwnedSignature, P256_LEN, PublicKey,
    Signature, SigningRequest,
    channel::{
        Acceptor, ChannelError, ChannelMemory, Connection, Dialer, Event, FRAME_HEADER_LEN,
        Presented, Progress, Setup,
    },
    encode_chains, p256_public_key,
};
use libfuzzer_sys::fuzz_target;
use seal::Seal;

const LEN: usize = 2048;

type Memory = Box<ChannelMemory<LEN>>;

/// The messages in the input: each after its length, in two bytes.
struct Messages<'d>(&'d [u8]);

impl Messages<'_> {
    fn next(&mut self, seal: &mut Seal) -> Option<Vec<u8>> {
        let (len, rest) = self.0.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (message, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        let mut frame = [&[0; seal::SEAL_LEN][..], message].concat();
        seal.seal(&mut frame).expect("the counter has room");
        Some(frame)
    }
}

fn own_key() -> [u8; P256_LEN] {
    p256_public_key(&[4; 65])
}

/// A signature, which is not verified.
fn signature(request: SigningRequest) -> OwnedSignature {
    // DER: the integers 1 and 1.
    request
        .finish(&[0x30, 6, 2, 1, 1, 2, 1, 1])
        .expect("it is a signature")
}

/// Blessings of the own key without a name.
fn nameless(out: &mut [u8]) -> &[u8] {
    let key = own_key();
    let certificate = Certificate {
        extension: "",
        public_key: &key,
        caveats: Caveats::NONE,
        x509: &[],
        signature: Signature::default(),
    };
    encode_chains(&[&[certificate]], out).expect("there is room")
}

fn talk(mut connection: Connection<Memory, LEN>, messages: &mut Messages<'_>, seal: &mut Seal) {
    let mut out = vec![0; 8192];
    let algorithms = algorithms();
    while let Some(mut frame) = messages.next(seal) {
        let flow = match connection.receive(&mut frame) {
            Ok(Event::Opened {
                flow,
                blessings_key,
                discharge_key,
                ..
            }) => {
                let _ = connection.verified(blessings_key, &algorithms);
                connection
                    .discharges(discharge_key)
                    .expect("they were looked up");
                Some(flow)
            }
            Ok(Event::Data { flow, .. }) => Some(flow),
            Ok(Event::HealthCheck) => {
                connection
                    .answer_health_check(&mut out)
                    .expect("there is room");
                None
            }
            Ok(Event::LameDuck) => {
                connection
                    .acknowledge_lame_duck(&mut out)
                    .expect("there is room");
                None
            }
            Ok(_) => None,
            Err(_) => return,
        };
        if let Some(flow) = flow {
            let _ = connection.release(flow, &mut out);
            let sendable = connection.may_send(flow);
            if connection.send(flow, b"data", false, &mut out).is_ok() {
                assert!(sendable >= 4);
            }
        }
    }
}

fn dial(messages: &mut Messages<'_>, algorithms: &Algorithms) -> Option<()> {
    let memory = Memory::new(ChannelMemory::new());
    let mut out = vec![0; 8192];
    let (dialer, _) = Dialer::begin(&Setup::DEFAULT, &[1; 32], memory, &mut out).ok()?;
    let mut setup = vec![0; 1024];
    let peer = Memory::new(ChannelMemory::new());
    let (_, len) = Acceptor::begin(&Setup::DEFAULT, &[2; 32], peer, &mut setup).ok()?;
    let mut seal = peer_seal(2, 1);
    let mut waiting = dialer.setup(setup.get(FRAME_HEADER_LEN..len)?).ok()?;
    let acquainted = loop {
        let mut frame = messages.next(&mut seal)?;
        match waiting.receive(&mut frame, algorithms).ok()? {
            Progress::Wait(next) => waiting = next,
            Progress::Done(acquainted) => break acquainted,
        }
    };
    acquainted
        .blessings(algorithms)
        .expect("they were verified");
    acquainted.discharges().expect("they were looked up");
    let mut blessings = vec![0; 1024];
    let encoded = EncodedBlessings::parse(nameless(&mut blessings)).expect("it was encoded");
    let key = own_key();
    let key = PublicKey::parse(&key, algorithms).expect("it is a key");
    let signature = signature(
        acquainted
            .request(&key)
            .expect("the algorithm is supported"),
    );
    let presented = Presented {
        blessings: encoded.blessings(),
        discharges: &[],
    };
    let (connection, _) = acquainted.prove(&presented, &signature, &mut out).ok()?;
    talk(connection, messages, &mut seal);
    Some(())
}

fn accept(messages: &mut Messages<'_>, algorithms: &Algorithms) -> Option<()> {
    let memory = Memory::new(ChannelMemory::new());
    let mut out = vec![0; 8192];
    let (acceptor, _) = Acceptor::begin(&Setup::DEFAULT, &[1; 32], memory, &mut out).ok()?;
    let mut setup = vec![0; 1024];
    let peer = Memory::new(ChannelMemory::new());
    let (_, len) = Dialer::begin(&Setup::DEFAULT, &[2; 32], peer, &mut setup).ok()?;
    let mut seal = peer_seal(2, 1);
    let proving = acceptor.setup(setup.get(FRAME_HEADER_LEN..len)?).ok()?;
    let mut blessings = vec![0; 1024];
    let encoded = EncodedBlessings::parse(nameless(&mut blessings)).expect("it was encoded");
    let key = own_key();
    let key = PublicKey::parse(&key, algorithms).expect("it is a key");
    let signature = signature(proving.request(&key).expect("the algorithm is supported"));
    let presented = Presented {
        blessings: encoded.blessings(),
        discharges: &[],
    };
    let (mut waiting, _) = proving.prove(&presented, &signature, &mut out).ok()?;
    let connection = loop {
        let mut frame = messages.next(&mut seal)?;
        match waiting.receive(&mut frame, algorithms).ok()? {
            Progress::Wait(next) => waiting = next,
            Progress::Done(connection) => break connection,
        }
    };
    talk(connection, messages, &mut seal);
    Some(())
}

/// Returns the seal of the peer, whose ephemeral key has these bytes.
fn peer_seal(own: u8, other: u8) -> Seal {
    let secret = |byte| crypto::SecretBytes::new([byte; 32]);
    Seal::new(&secret(own), &seal::public_key(&secret(other))).expect("the keys are usable")
}

fuzz_target!(|data: &[u8]| {
    let algorithms = algorithms();
    let Some((role, rest)) = data.split_first() else {
        return;
    };
    // A Setup of the peer's choice.
    let memory = Memory::new(ChannelMemory::new());
    let mut out = vec![0; 1024];
    let begun = Dialer::begin(&Setup::DEFAULT, &[1; 32], memory, &mut out);
    let (dialer, _) = begun.expect("there is room");
    let _ = dialer.setup(rest);
    let _: Option<()> = match role % 2 {
        0 => dial(&mut Messages(rest), &algorithms),
        _ => accept(&mut Messages(rest), &algorithms),
    };
    let _ = ChannelError::Seal;
});
