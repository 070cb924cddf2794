//! Commands for hierarchies and objects, and for the use of keys.

use super::*;

#[test]
fn create_primary_matches_the_oracle() {
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
            panic!("the template is not that of an RSA key");
        };
        assert_eq!(&**modulus, [0; 256]);
    });
}

#[test]
fn evict_control_and_lock_reset_match_the_oracle() {
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
fn load_import_read_public_and_flush_match_the_oracle() {
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
fn hmac_and_sequences_match_the_oracle() {
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
            // A TPM may omit the leading zeroes of a coordinate.
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
fn sign_quote_and_ecdh_match_the_oracle() {
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
