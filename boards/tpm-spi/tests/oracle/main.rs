//! Compares commands and responses with the crate `tpm2-protocol`, an independent implementation: it must parse every command of
//! chanbind and build the same bytes again, and chanbind must parse every response that it builds.
#![cfg(test)]

mod keys;
mod sessions;

use chanbind_tpm_spi::{
    Chip, Contexts, Tpm,
    blocking::run,
    command::*,
    session::{AuthValue, Password},
};
use std::{cell::RefCell, convert::Infallible, rc::Rc};
use tpm2_protocol::{TpmMarshal, TpmUnmarshal, TpmWriter, basic::*, data::*, frame::*};

/// A chip that records the last command and returns a fixed response. It responds with an empty list to the commands with which
/// the driver searches for stray contexts.
struct Wire {
    sent: Rc<RefCell<Vec<u8>>>,
    response: Vec<u8>,
}

impl Chip for Wire {
    type Error = Infallible;

    async fn exchange(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        _: u32,
    ) -> Result<usize, Infallible> {
        let command = &buffer[..len];
        let response = if command[6..].starts_with(&[0, 0, 1, 0x7a, 0, 0, 0, 1]) {
            response(
                &TpmGetCapabilityResponse {
                    handles: [],
                    more_data: TpmiYesNo::default(),
                    capability_data: TpmsCapabilityData {
                        capability: TpmCap::Handles,
                        data: TpmuCapabilities::Handles(TpmlHandle::default()),
                    },
                },
                0,
            )
        } else {
            *self.sent.borrow_mut() = command.to_vec();
            self.response.clone()
        };
        buffer[..response.len()].copy_from_slice(&response);
        Ok(response.len())
    }

    async fn pause(&mut self, _: u32) {}
}

fn marshal(build: impl FnOnce(&mut TpmWriter)) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let mut writer = TpmWriter::new(&mut buffer);
    build(&mut writer);
    let len = writer.len();
    buffer.truncate(len);
    buffer
}

fn response<R: TpmFrame>(response: &R, passwords: usize) -> Vec<u8> {
    let area = TpmsAuthResponse::default();
    let areas = vec![area; passwords];
    marshal(|writer| {
        tpm_marshal_response(response, TpmRc::Fmt0(TpmRcBase::Success), &areas, writer).unwrap();
    })
}

/// Runs the command `ours`. The oracle must parse its bytes and build the same bytes from the parsed command. `inspect` checks the
/// command that the oracle has parsed, and the response that chanbind has parsed from the bytes of `theirs`.
fn check<O: Command, T, R>(ours: &O, theirs: &R, inspect: impl FnOnce(&T, O::Response<'_>))
where
    T: TpmFrame + TpmUnmarshalBody,
    R: TpmFrame,
{
    let sent = Rc::new(RefCell::new(Vec::new()));
    let wire = Wire {
        sent: Rc::clone(&sent),
        response: response(theirs, O::AUTHORIZATIONS),
    };
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(wire, &mut buffer, &mut contexts);
    let auth = AuthValue::new(b"pass").unwrap();
    let mut password = Password(&auth);
    let read = match O::AUTHORIZATIONS {
        0 => run(tpm.execute(ours, &mut [])).unwrap(),
        _ => run(tpm.execute(ours, &mut [&mut password])).unwrap(),
    };

    let bytes = sent.borrow();
    let frame = TpmCommand::cast(&bytes).unwrap();
    frame.validate().unwrap();
    let parsed: T = frame.unmarshal().unwrap();
    let mut areas = Vec::new();
    let mut rest = frame.auth_area().unwrap();
    while !rest.is_empty() {
        let (area, left) = TpmsAuthCommand::unmarshal(rest).unwrap();
        assert_eq!(&*area.hmac, b"pass");
        areas.push(area);
        rest = left;
    }
    assert_eq!(areas.len(), O::AUTHORIZATIONS);
    let rebuilt = marshal(|writer| {
        tpm_marshal_command(&parsed, frame.tag().unwrap(), &areas, writer).unwrap();
    });
    assert_eq!(rebuilt, *bytes);
    assert_eq!(frame.cc().unwrap().value(), O::CODE.0);
    inspect(&parsed, read);
}

fn object(handle: u32) -> Entity {
    Entity::object(Handle(handle), Name::new(&[7; 34]).unwrap())
}

fn handle(value: u32) -> TpmHandle {
    TpmHandle::new(value)
}

fn pcrs() -> TpmlPcrSelection {
    let (list, rest) =
        TpmlPcrSelection::unmarshal(&[0, 0, 0, 1, 0, 0x0b, 3, 0x81, 0, 0x80]).unwrap();
    assert!(rest.is_empty());
    list
}

/// Template H-2 with the unique point `x`, `y`, built from the fields of the oracle.
fn h2(x: &[u8], y: &[u8]) -> TpmtPublic {
    TpmtPublic {
        object_type: TpmAlgId::Ecc,
        name_alg: TpmAlgId::Sha256,
        object_attributes: TpmaObject::FIXED_TPM
            | TpmaObject::FIXED_PARENT
            | TpmaObject::SENSITIVE_DATA_ORIGIN
            | TpmaObject::USER_WITH_AUTH
            | TpmaObject::NO_DA
            | TpmaObject::RESTRICTED
            | TpmaObject::DECRYPT,
        auth_policy: Tpm2bDigest::default(),
        parameters: TpmuPublicParms::Ecc(TpmsEccParms {
            symmetric: TpmtSymDef {
                algorithm: TpmAlgId::Aes,
                key_bits: TpmuSymKeyBits::Aes(TpmUint16::from(128)),
                mode: TpmuSymMode::Aes(TpmAlgId::Cfb),
            },
            scheme: TpmtEccScheme {
                scheme: TpmAlgId::Null,
                details: TpmuAsymScheme::Null,
            },
            curve_id: TpmEccCurve::NistP256,
            kdf: TpmtKdfScheme {
                scheme: TpmAlgId::Null,
                details: TpmuKdfScheme::Null,
            },
        }),
        unique: TpmuPublicId::Ecc(TpmsEccPoint {
            x: x.try_into().unwrap(),
            y: y.try_into().unwrap(),
        }),
    }
}

fn bytes_of(value: &impl TpmMarshal) -> Vec<u8> {
    marshal(|writer| value.marshal(writer).unwrap())
}

fn created() -> TpmCreatePrimaryResponse {
    TpmCreatePrimaryResponse {
        handles: [handle(0x8000_0001)],
        out_public: Tpm2bPublic {
            inner: h2(&[1; 32], &[2; 32]),
        },
        creation_data: Tpm2bCreationData::default(),
        creation_hash: [3; 32].as_slice().try_into().unwrap(),
        creation_ticket: TpmtTkCreation {
            tag: TpmSt::Creation,
            hierarchy: TpmRh::Owner,
            digest: [4; 32].as_slice().try_into().unwrap(),
        },
        name: [5; 34].as_slice().try_into().unwrap(),
    }
}
