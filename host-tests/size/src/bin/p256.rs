//! A firmware that agrees on keys and verifies signatures on P-256, with SHA-256 and HMAC, as TLS does, and whose proof is a copy of a field: the
//! baseline for `mutual`.
#![no_std]
#![no_main]

use chanbind_core::{
    exporter::Exporter,
    proof::{FieldSink, Inputs, Outcome, Prover, RequestTarget, ResponseHead, Step},
};
use chanbind_size::{drive, primitives, program, text};
use core::fmt;

struct Copy(&'static str);

#[derive(Debug)]
struct Failure;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}

impl core::error::Error for Failure {}

impl Prover for Copy {
    type Failure = Failure;

    fn kind(&self) -> &'static str {
        "copy"
    }

    fn begin(&mut self, channel: &dyn Exporter, _: &Inputs<'_>) -> Step<'_, Failure> {
        let mut exported = [0; 32];
        match channel.export_keying_material(self.0.as_bytes(), None, &mut exported) {
            Ok(()) => Step::Send,
            Err(_) => Step::Failed(Failure),
        }
    }

    fn answered(&mut self, _: &[u8]) -> Step<'_, Failure> {
        Step::Failed(Failure)
    }

    fn write_fields(
        &mut self,
        request: &RequestTarget<'_>,
        _: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), Failure> {
        let written = out.put_with("authorization", 400, &mut |out| {
            let text = if request.method == self.0 { self.0 } else { "" };
            let place = out.get_mut(..text.len())?;
            place.copy_from_slice(text.as_bytes());
            Some(text.len())
        });
        written.map_err(|_| Failure)
    }

    fn response(&mut self, head: &dyn ResponseHead, _: &Inputs<'_>) -> Step<'_, Failure> {
        match head.status() {
            200 if head.field("authentication-info", 0) == Some(self.0.as_bytes()) => {
                Step::Done(Outcome::Proved)
            }
            401 => Step::Send,
            _ => Step::Failed(Failure),
        }
    }
}

fn exchange() -> Option<u32> {
    drive(&mut Copy(text(30)?))
}

program!(primitives().unwrap_or(1) + exchange().unwrap_or(2));
