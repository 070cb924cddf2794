//! Every command as the crate `tpm2-protocol` reads and builds it, and every response as that crate builds it. The two
//! implementations share nothing.

use chanbind_tpm_spi::{
    Chip, Contexts, Tpm,
    blocking::run,
    command::*,
    session::{AuthValue, Password},
};
use std::{cell::RefCell, convert::Infallible, rc::Rc};
use tpm2_protocol::{TpmMarshal, TpmUnmarshal, TpmWriter, basic::*, data::*, frame::*};

/// Keeps the last command, and gives one response; the TPM's own questions about what is in the chip are answered with nothing.
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

/// Runs `ours`; the bytes must be a command of theirs, and what they build of it again the same bytes. `judge` looks at what
/// they read and at what we read of the response that they built.
fn check<O: Command, T, R>(ours: &O, theirs: &R, judge: impl FnOnce(&T, O::Response<'_>))
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
    let again = marshal(|writer| {
        tpm_marshal_command(&parsed, frame.tag().unwrap(), &areas, writer).unwrap();
    });
    assert_eq!(again, *bytes);
    assert_eq!(frame.cc().unwrap().value(), O::CODE.0);
    judge(&parsed, read);
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

/// H-2, from their fields.
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

#[test]
fn create_primary() {
    let zeroes = [0; 32];
    for (template, unique) in [
        (Template::H2, &zeroes[..0]),
        (Template::SRK_ECC_P256, &zeroes[..]),
    ] {
        let ours = CreatePrimary {
            hierarchy: &Entity::OWNER,
            template,
        };
        check::<_, TpmCreatePrimaryCommand, _>(&ours, &created(), |command, response| {
            assert_eq!(command.in_public.inner, h2(unique, unique));
            assert_eq!(command.handles, [handle(0x4000_0001)]);
            assert_eq!(response.handle, Handle(0x8000_0001));
            assert_eq!(response.public_area, bytes_of(&h2(&[1; 32], &[2; 32])));
            assert_eq!(response.name, [5; 34]);
        });
    }
    let ours = CreatePrimary {
        hierarchy: &Entity::named_by_handle(Handle::ENDORSEMENT),
        template: Template::SRK_RSA_2048,
    };
    check::<_, TpmCreatePrimaryCommand, _>(&ours, &created(), |command, _| {
        assert_eq!(command.in_public.inner.object_type, TpmAlgId::Rsa);
        let TpmuPublicId::Rsa(modulus) = &command.in_public.inner.unique else {
            panic!("no RSA key");
        };
        assert_eq!(&**modulus, [0; 256]);
    });
}

#[test]
fn evict_control_and_lockout() {
    let key = object(0x8000_0002);
    let ours = EvictControl {
        hierarchy: &Entity::OWNER,
        object: &key,
        persistent: Handle(0x8100_0010),
    };
    let theirs = TpmEvictControlResponse { handles: [] };
    check::<_, TpmEvictControlCommand, _>(&ours, &theirs, |command, ()| {
        assert_eq!(command.handles, [handle(0x4000_0001), handle(0x8000_0002)]);
        assert_eq!(command.persistent_handle, handle(0x8100_0010));
    });
    let theirs = TpmDictionaryAttackLockResetResponse { handles: [] };
    check::<_, TpmDictionaryAttackLockResetCommand, _>(
        &DictionaryAttackLockReset,
        &theirs,
        |command, ()| assert_eq!(command.handles, [handle(0x4000_000a)]),
    );
}

/// TPM2B_PRIVATE and TPM2B_PUBLIC of an HMAC key.
fn blobs() -> (Vec<u8>, Vec<u8>) {
    let private = [&[0, 3][..], b"key"].concat();
    let area = [
        0x00, 0x08, 0x00, 0x0b, 0x00, 0x04, 0x00, 0x40, 0x00, 0x00, 0x00, 0x05, 0x00, 0x0b, 0x00,
        0x02, 0xaa, 0xbb,
    ];
    let public = [&[0, 18][..], &area].concat();
    (private, public)
}

#[test]
fn load_import_read_and_flush() {
    let parent = object(0x8000_0000);
    let (private, public) = blobs();
    let ours = Load {
        parent: &parent,
        private: &private,
        public: &public,
    };
    let theirs = TpmLoadResponse {
        handles: [handle(0x8000_0001)],
        name: [5; 34].as_slice().try_into().unwrap(),
    };
    check::<_, TpmLoadCommand, _>(&ours, &theirs, |command, response| {
        assert_eq!(&*command.in_private, b"key");
        assert_eq!(command.in_public.inner.object_type, TpmAlgId::KeyedHash);
        assert_eq!(response.handle, Handle(0x8000_0001));
        assert_eq!(response.name, [5; 34]);
    });

    let ours = Import {
        parent: &parent,
        public: &public,
        duplicate: &private,
        in_sym_seed: &[0, 4, 1, 2, 3, 4],
    };
    let theirs = TpmImportResponse {
        handles: [],
        out_private: b"wrapped".as_slice().try_into().unwrap(),
    };
    check::<_, TpmImportCommand, _>(&ours, &theirs, |command, response| {
        assert_eq!(&*command.in_sym_seed, [1, 2, 3, 4]);
        assert_eq!(command.symmetric_alg.algorithm, TpmAlgId::Null);
        assert_eq!(response, b"wrapped");
    });

    let theirs = TpmReadPublicResponse {
        handles: [],
        out_public: Tpm2bPublic {
            inner: h2(&[1; 32], &[2; 32]),
        },
        name: [5; 34].as_slice().try_into().unwrap(),
        qualified_name: [6; 34].as_slice().try_into().unwrap(),
    };
    check::<_, TpmReadPublicCommand, _>(
        &ReadPublic { object: &parent },
        &theirs,
        |command, response| {
            assert_eq!(command.handles, [handle(0x8000_0000)]);
            assert_eq!(response.public_area, bytes_of(&h2(&[1; 32], &[2; 32])));
            assert_eq!(response.name, [5; 34]);
            assert_eq!(response.qualified_name, [6; 34]);
        },
    );

    let theirs = TpmFlushContextResponse { handles: [] };
    let ours = FlushContext {
        handle: Handle(0x8000_0001),
    };
    check::<_, TpmFlushContextCommand, _>(&ours, &theirs, |command, ()| {
        assert_eq!(command.flush_handle, handle(0x8000_0001));
    });
}

#[test]
fn hmac_and_its_sequence() {
    let key = object(0x8000_0001);
    let ours = Hmac {
        key: &key,
        data: &[b"counter", b"label", &[0], b"input", b"length"],
    };
    let theirs = TpmHmacResponse {
        handles: [],
        out_hmac: [9; 32].as_slice().try_into().unwrap(),
    };
    check::<_, TpmHmacCommand, _>(&ours, &theirs, |command, response| {
        assert_eq!(&*command.buffer, b"counterlabel\0inputlength");
        assert_eq!(command.hash_alg, TpmAlgId::Sha256);
        assert_eq!(response, [9; 32]);
    });

    let ours = HmacStart {
        key: &key,
        auth: b"sequence",
    };
    let theirs = TpmHmacStartResponse {
        handles: [handle(0x8000_0002)],
    };
    check::<_, TpmHmacStartCommand, _>(&ours, &theirs, |command, response| {
        assert_eq!(&*command.auth, b"sequence");
        assert_eq!(response, Handle(0x8000_0002));
    });

    let sequence = object(0x8000_0002);
    let ours = SequenceUpdate {
        sequence: &sequence,
        data: b"data",
    };
    let theirs = TpmSequenceUpdateResponse { handles: [] };
    check::<_, TpmSequenceUpdateCommand, _>(&ours, &theirs, |command, ()| {
        assert_eq!(&*command.buffer, b"data");
    });

    let ours = SequenceComplete {
        sequence: &sequence,
        data: b"last",
    };
    let theirs = TpmSequenceCompleteResponse {
        handles: [],
        result: [9; 32].as_slice().try_into().unwrap(),
        validation: TpmtTkHashcheck {
            tag: TpmSt::HashCheck,
            hierarchy: TpmRh::Null,
            digest: Tpm2bDigest::default(),
        },
    };
    check::<_, TpmSequenceCompleteCommand, _>(&ours, &theirs, |command, response| {
        assert_eq!(&*command.buffer, b"last");
        assert_eq!(command.hierarchy, TpmRh::Null);
        assert_eq!(response, [9; 32]);
    });
}

fn signature() -> TpmtSignature {
    TpmtSignature {
        sig_alg: TpmAlgId::Ecdsa,
        signature: TpmuSignature::Ecdsa(TpmsSignatureEcc {
            hash: TpmAlgId::Sha256,
            // A coordinate may come without leading zeroes.
            signature_r: [1; 31].as_slice().try_into().unwrap(),
            signature_s: [2; 32].as_slice().try_into().unwrap(),
        }),
    }
}

fn r_and_s() -> Signature {
    let mut r = [1; 32];
    r[0] = 0;
    Signature { r, s: [2; 32] }
}

#[test]
fn sign_quote_and_ecdh() {
    let key = object(0x8000_0001);
    let ours = Sign {
        key: &key,
        digest: &[8; 32],
    };
    let theirs = TpmSignResponse {
        handles: [],
        signature: signature(),
    };
    check::<_, TpmSignCommand, _>(&ours, &theirs, |command, response| {
        assert_eq!(&*command.digest, [8; 32]);
        assert_eq!(command.validation.tag, TpmSt::HashCheck);
        assert_eq!(command.validation.hierarchy, TpmRh::Null);
        assert_eq!(response, r_and_s());
    });

    let ours = Quote {
        key: &key,
        qualifying_data: b"challenge",
        pcrs: PcrSelection::sha256(&[0, 7, 23]),
    };
    let attested = TpmsAttest {
        attest_type: TpmSt::AttestQuote,
        qualified_signer: [5; 34].as_slice().try_into().unwrap(),
        extra_data: b"challenge".as_slice().try_into().unwrap(),
        clock_info: TpmsClockInfo::default(),
        firmware_version: TpmUint64::from(7),
        attested: TpmuAttest::Quote(TpmsQuoteInfo {
            pcr_select: pcrs(),
            pcr_digest: [6; 32].as_slice().try_into().unwrap(),
        }),
    };
    let theirs = TpmQuoteResponse {
        handles: [],
        quoted: Tpm2bAttest {
            inner: attested.clone(),
        },
        signature: signature(),
    };
    check::<_, TpmQuoteCommand, _>(&ours, &theirs, |command, response| {
        assert_eq!(&*command.qualifying_data, b"challenge");
        assert_eq!(command.pcr_select, pcrs());
        assert_eq!(response.quoted, bytes_of(&attested));
        assert_eq!(response.signature, r_and_s());
    });

    let point = EccPoint {
        x: [1; 32],
        y: [2; 32],
    };
    let theirs_point = || Tpm2bEccPoint {
        inner: TpmsEccPoint {
            x: [1; 32].as_slice().try_into().unwrap(),
            y: [2; 32].as_slice().try_into().unwrap(),
        },
    };
    let theirs = TpmEcdhZGenResponse {
        handles: [],
        out_point: theirs_point(),
    };
    check::<_, TpmEcdhZGenCommand, _>(
        &EcdhZGen { key: &key, point },
        &theirs,
        |command, response| {
            assert_eq!(command.in_point, theirs_point());
            assert_eq!(response, point);
        },
    );
}

#[test]
fn policies() {
    let session = Entity::named_by_handle(Handle(0x0300_0000));
    let ours = PolicyPcr {
        session: &session,
        digest: &[7; 32],
        pcrs: PcrSelection::sha256(&[0, 7, 23, 24, 255]),
    };
    let theirs = TpmPolicyPcrResponse { handles: [] };
    check::<_, TpmPolicyPcrCommand, _>(&ours, &theirs, |command, ()| {
        assert_eq!(&*command.pcr_digest, [7; 32]);
        assert_eq!(command.pcrs, pcrs());
    });
    let theirs = TpmPolicyAuthValueResponse { handles: [] };
    check::<_, TpmPolicyAuthValueCommand, _>(
        &PolicyAuthValue { session: &session },
        &theirs,
        |command, ()| assert_eq!(command.handles, [handle(0x0300_0000)]),
    );
    let ours = PolicySecret {
        entity: &Entity::OWNER,
        session: &session,
    };
    let theirs = TpmPolicySecretResponse {
        handles: [],
        timeout: Tpm2bTimeout::default(),
        policy_ticket: TpmtTkAuth {
            tag: TpmSt::AuthSecret,
            hierarchy: TpmRh::Null,
            digest: Tpm2bDigest::default(),
        },
    };
    check::<_, TpmPolicySecretCommand, _>(&ours, &theirs, |command, ()| {
        assert_eq!(command.handles, [handle(0x4000_0001), handle(0x0300_0000)]);
        assert_eq!(command.expiration, TpmInt32::from(0));
    });
}

#[test]
fn pcrs_read_and_extended() {
    let mut values = TpmlDigest::default();
    for value in [1u8, 2, 3] {
        values
            .try_push([value; 32].as_slice().try_into().unwrap())
            .unwrap();
    }
    let theirs = TpmPcrReadResponse {
        handles: [],
        pcr_update_counter: TpmUint32::from(42),
        pcr_selection_out: pcrs(),
        pcr_values: values,
    };
    let selection = PcrSelection::sha256(&[0, 7, 23]);
    check::<_, TpmPcrReadCommand, _>(
        &PcrRead { pcrs: selection },
        &theirs,
        |command, response| {
            assert_eq!(command.pcr_selection_in, pcrs());
            assert_eq!(response.update_counter, 42);
            assert_eq!(response.pcrs, selection);
            let values: Vec<_> = response.values.collect();
            assert_eq!(values, [[1; 32], [2; 32], [3; 32]]);
        },
    );

    let pcr = Entity::pcr(23);
    let ours = PcrExtend {
        pcr: &pcr,
        digest: &[6; 32],
    };
    let theirs = TpmPcrExtendResponse { handles: [] };
    check::<_, TpmPcrExtendCommand, _>(&ours, &theirs, |command, ()| {
        assert_eq!(command.handles, [handle(23)]);
        assert_eq!(command.digests.len(), 1);
        assert_eq!(command.digests[0].hash_alg, TpmAlgId::Sha256);
    });
}

#[test]
fn capabilities_random_and_life_cycle() {
    let mut properties = TpmlTaggedTpmProperty::default();
    for (property, value) in [(TpmPt::InputBuffer, 1024), (TpmPt::HrTransientMin, 3)] {
        properties
            .try_push(TpmsTaggedProperty {
                property,
                value: TpmUint32::from(value),
            })
            .unwrap();
    }
    let theirs = TpmGetCapabilityResponse {
        handles: [],
        more_data: TpmiYesNo::from(true),
        capability_data: TpmsCapabilityData {
            capability: TpmCap::TpmProperties,
            data: TpmuCapabilities::TpmProperties(properties),
        },
    };
    let ours = GetCapability {
        capability: Capability::TPM_PROPERTIES,
        property: 0x10d,
        count: 2,
    };
    check::<_, TpmGetCapabilityCommand, _>(&ours, &theirs, |command, response| {
        assert_eq!(command.cap, TpmCap::TpmProperties);
        assert_eq!(command.property_count, TpmUint32::from(2));
        assert!(response.more);
        assert_eq!(response.count, 2);
        assert_eq!(
            response.properties().collect::<Vec<_>>(),
            [(0x10d, 1024), (0x10e, 3)]
        );
        assert_eq!(response.handles().count(), 0);
    });

    let theirs = TpmGetRandomResponse {
        handles: [],
        random_bytes: [1; 16].as_slice().try_into().unwrap(),
    };
    let ours = GetRandom {
        bytes_requested: 16,
    };
    check::<_, TpmGetRandomCommand, _>(&ours, &theirs, |command, response| {
        assert_eq!(command.bytes_requested, TpmUint16::from(16));
        assert_eq!(response, [1; 16]);
    });

    let theirs = TpmStartupResponse { handles: [] };
    check::<_, TpmStartupCommand, _>(&Startup(StartupType::Clear), &theirs, |command, ()| {
        assert_eq!(command.startup_type, TpmSu::Clear);
    });
    let theirs = TpmShutdownResponse { handles: [] };
    check::<_, TpmShutdownCommand, _>(&Shutdown(StartupType::State), &theirs, |command, ()| {
        assert_eq!(command.shutdown_type, TpmSu::State);
    });
    let theirs = TpmSelfTestResponse { handles: [] };
    check::<_, TpmSelfTestCommand, _>(&SelfTest { full_test: true }, &theirs, |command, ()| {
        assert_eq!(command.full_test, TpmiYesNo::from(true));
    });
    let theirs = TpmGetTestResultResponse {
        handles: [],
        out_data: b"fine".as_slice().try_into().unwrap(),
        test_result: TpmRc::Fmt0(TpmRcBase::Success),
    };
    check::<_, TpmGetTestResultCommand, _>(&GetTestResult, &theirs, |_, response| {
        assert_eq!(response.data, b"fine");
        assert_eq!(response.code, 0);
    });
}

#[test]
fn start_auth_session() {
    let parent = object(0x8000_0000);
    let ours = StartAuthSession {
        tpm_key: &parent,
        nonce_caller: &[1; 32],
        salt: &EccPoint {
            x: [2; 32],
            y: [3; 32],
        },
        session_type: SessionType::Policy,
    };
    let theirs = TpmStartAuthSessionResponse {
        handles: [handle(0x0300_0000)],
        nonce_tpm: [4; 32].as_slice().try_into().unwrap(),
    };
    check::<_, TpmStartAuthSessionCommand, _>(&ours, &theirs, |command, response| {
        assert_eq!(command.handles, [handle(0x8000_0000), handle(0x4000_0007)]);
        assert_eq!(&*command.nonce_caller, [1; 32]);
        let salt = [&[0, 32][..], &[2; 32], &[0, 32], &[3; 32]].concat();
        assert_eq!(&*command.encrypted_salt, salt);
        assert_eq!(command.session_type, TpmSe::Policy);
        assert_eq!(command.symmetric.algorithm, TpmAlgId::Aes);
        assert_eq!(command.auth_hash, TpmAlgId::Sha256);
        assert_eq!(response.handle, Handle(0x0300_0000));
        assert_eq!(response.nonce_tpm, [4; 32]);
    });
}

/// All 4,096 codes: ours and theirs agree on which error it is and at what.
#[test]
fn response_codes() {
    let mut compared = 0;
    for code in 1..0x1000u32 {
        let Ok(theirs) = TpmRc::try_from(code) else {
            continue;
        };
        let ours = ResponseCode::new(code);
        if let ResponseCode::Unknown(_) | ResponseCode::Vendor(_) = ours {
            continue;
        }
        let ours = ours.to_string();
        if ours.contains('?') {
            continue;
        }
        let name = ours
            .split(',')
            .next()
            .unwrap()
            .replace('_', "")
            .to_lowercase();
        let debug = format!("{theirs:?}").to_lowercase();
        let name = name.strip_prefix("tpmrc").unwrap();
        assert!(debug.contains(name), "{code:#x}: {ours} and {theirs:?}");
        if let ResponseCode::FormatOne { at, .. } = ResponseCode::new(code) {
            // Theirs is `None` where the TPM does not tell which.
            let at = format!("{at:?}").to_lowercase();
            let unsaid = at.ends_with("(0)") && debug.contains("index: none");
            assert!(
                unsaid || debug.contains(&at),
                "{code:#x}: {ours} and {theirs:?}"
            );
        }
        compared += 1;
    }
    assert!(compared > 800, "{compared}");
}
