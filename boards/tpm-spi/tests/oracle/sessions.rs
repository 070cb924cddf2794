//! Commands for sessions, policies, PCRs, capabilities, startup and shutdown, and the response codes.

use super::*;

#[test]
fn policy_commands_match_the_oracle() {
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
fn pcr_read_and_extend_match_the_oracle() {
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
fn capabilities_random_and_startup_match_the_oracle() {
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
fn start_auth_session_matches_the_oracle() {
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

/// For all 4,096 codes, chanbind and the oracle agree on the error and on the handle, session or parameter.
#[test]
fn response_codes_match_the_oracle() {
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
        assert!(
            debug.contains(name),
            "{code:#x}: chanbind decodes {ours}, the oracle {theirs:?}"
        );
        if let ResponseCode::FormatOne { at, .. } = ResponseCode::new(code) {
            // The oracle has `None` if the TPM does not identify the handle, session or parameter.
            let at = format!("{at:?}").to_lowercase();
            let is_unidentified = at.ends_with("(0)") && debug.contains("index: none");
            assert!(
                is_unidentified || debug.contains(&at),
                "{code:#x}: chanbind decodes {ours}, the oracle {theirs:?}"
            );
        }
        compared += 1;
    }
    assert!(compared > 800, "only {compared} codes were compared");
}
