//! The program `blessing` with Vanadium's channel, as one that dials.
#![no_std]
#![no_main]

use chanbind_core::blessing::{
    ClientPrincipal, EncodedBlessings, Prover, PublicKey,
    channel::{ChannelMemory, Dialer, Event, Presented, Progress, Setup},
    check_server,
};
use chanbind_size::{Principal, bytes, drive, output, primitives, program};

fn exchange() -> Option<u32> {
    drive(&mut Prover::new(Principal::new(), [0; 1536]))
}

/// Copies a frame from the imaginary board's memory.
fn frame() -> [u8; 512] {
    let mut frame = [0; 512];
    frame.copy_from_slice(bytes(512));
    frame
}

fn channel() -> Option<u32> {
    let principal = Principal::new();
    let algorithms = principal.algorithms();
    let mut memory = ChannelMemory::<1536>::new();
    let mut out = [0; 4096];
    let secret = bytes(32).first_chunk()?;
    let (dialer, len) = Dialer::begin(&Setup::DEFAULT, secret, &mut memory, &mut out).ok()?;
    output(u32::try_from(len).ok()?);
    let mut waiting = dialer.setup(bytes(100)).ok()?;
    let acquainted = loop {
        match waiting.receive(&mut frame(), algorithms).ok()? {
            Progress::Wait(next) => waiting = next,
            Progress::Done(acquainted) => break acquainted,
        }
    };
    let verified = acquainted.blessings(algorithms).ok()?;
    let discharges = acquainted.discharges().ok()?;
    if check_server(&principal, &verified, &discharges, None).is_err() {
        let len = acquainted.refuse("not trusted", &mut out).ok()?;
        return u32::try_from(len).ok();
    }
    let key = PublicKey::parse(bytes(91), algorithms)?;
    let signature = acquainted.request(&key).ok()?.finish(bytes(72)).ok()?;
    let encoded = EncodedBlessings::parse(principal.blessings()).ok()?;
    let presented = Presented {
        blessings: encoded.blessings(),
        discharges: &[bytes(300)],
    };
    let (mut connection, len) = acquainted.prove(&presented, &signature, &mut out).ok()?;
    output(u32::try_from(len).ok()?);
    let (blessings, discharges, len) = connection.present(&presented, &mut out).ok()?;
    output(u32::try_from(len).ok()?);
    let (flow, len) = connection
        .open((blessings, discharges), bytes(20), &mut out)
        .ok()?;
    output(u32::try_from(len).ok()?);
    loop {
        let mut frame = frame();
        let len = match connection.receive(&mut frame).ok()? {
            Event::Data { flow, payload, .. } => {
                output(u32::try_from(payload.len()).ok()?);
                connection.release(flow, &mut out).ok()?
            }
            Event::HealthCheck => connection.answer_health_check(&mut out).ok()?,
            Event::LameDuck => connection.acknowledge_lame_duck(&mut out).ok()?,
            Event::TearDown { text } => return u32::try_from(text.len()).ok(),
            _ => connection.send(flow, bytes(20), false, &mut out).ok()?,
        };
        output(u32::try_from(len).ok()?);
    }
}

program!(primitives().unwrap_or(1) + exchange().unwrap_or(2) + channel().unwrap_or(3));
