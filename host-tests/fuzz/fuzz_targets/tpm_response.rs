//! Any bytes as the response of a TPM to every command: the driver returns a value or an error, never panics, and never accepts
//! an HMAC that was not computed with the session's key.
#![no_main]

use chanbind_tpm_spi::{
    Chip, Contexts, ParentKey, Tpm,
    blocking::run,
    command::*,
    key::{HmacKey, KeyBlobs, TpmKeys},
    session::{AuthValue, Password},
};
use libfuzzer_sys::fuzz_target;
use rand_core::{CryptoRng, Error, RngCore};
use std::convert::Infallible;

/// Returns the same response to every command. The first queries for the chip's contents get an empty list instead.
struct Wire<'d> {
    response: &'d [u8],
    commands: u32,
}

const NO_HANDLES: [u8; 19] = [
    0x80, 0x01, 0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,
];

impl Chip for Wire<'_> {
    type Error = Infallible;

    async fn exchange(&mut self, buffer: &mut [u8], _: usize, _: u32) -> Result<usize, Infallible> {
        let queries_handles = buffer[6..14] == [0, 0, 1, 0x7a, 0, 0, 0, 1];
        self.commands += 1;
        let response = if queries_handles && self.commands < 8 {
            &NO_HANDLES
        } else {
            self.response
        };
        let len = response.len().min(buffer.len());
        buffer[..len].copy_from_slice(&response[..len]);
        Ok(len)
    }

    async fn pause(&mut self, _: u32) {}
}

struct Counter(u64);

impl RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.0
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.iter_mut()
            .for_each(|byte| *byte = (self.next_u64() >> 56) as u8);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Counter {}

fn check_response<K: Command>(response: &[u8], command: &K) {
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let wire = Wire {
        response,
        commands: 0,
    };
    let mut tpm = Tpm::new(wire, &mut buffer, &mut contexts);
    let mut passwords = [Password::empty(), Password::empty()];
    let mut authorizations: Vec<&mut dyn chanbind_tpm_spi::session::Authorize> = passwords
        .iter_mut()
        .take(K::AUTHORIZATIONS)
        .map(|password| password as _)
        .collect();
    let _ = run(tpm.execute(command, &mut authorizations)).map(|_| ());
}

fuzz_target!(|response: &[u8]| {
    let key = Entity::object(Handle(0x8000_0000), Name::new(&[7; 34]).unwrap());
    let session = Entity::named_by_handle(Handle(0x0300_0000));
    let blob = [0, 1, 0];
    check_response(response, &Startup(StartupType::Clear));
    check_response(response, &Shutdown(StartupType::State));
    check_response(response, &SelfTest { full_test: true });
    check_response(response, &GetTestResult);
    check_response(
        response,
        &GetCapability {
            capability: Capability::TPM_PROPERTIES,
            property: 0,
            count: 8,
        },
    );
    check_response(
        response,
        &GetRandom {
            bytes_requested: 32,
        },
    );
    check_response(
        response,
        &CreatePrimary {
            hierarchy: &Entity::OWNER,
            template: Template::H2,
        },
    );
    check_response(
        response,
        &Load {
            parent: &key,
            private: &blob,
            public: &blob,
        },
    );
    check_response(response, &ReadPublic { object: &key });
    check_response(
        response,
        &FlushContext {
            handle: key.handle(),
        },
    );
    check_response(
        response,
        &EvictControl {
            hierarchy: &Entity::OWNER,
            object: &key,
            persistent: Handle(0x8100_0000),
        },
    );
    check_response(
        response,
        &Import {
            parent: &key,
            public: &blob,
            duplicate: &blob,
            in_sym_seed: &blob,
        },
    );
    check_response(
        response,
        &Hmac {
            key: &key,
            data: &[&blob],
        },
    );
    check_response(
        response,
        &HmacStart {
            key: &key,
            auth: &blob,
        },
    );
    check_response(
        response,
        &SequenceUpdate {
            sequence: &key,
            data: &blob,
        },
    );
    check_response(
        response,
        &SequenceComplete {
            sequence: &key,
            data: &blob,
        },
    );
    let point = EccPoint {
        x: [1; 32],
        y: [2; 32],
    };
    check_response(response, &EcdhZGen { key: &key, point });
    check_response(
        response,
        &Sign {
            key: &key,
            digest: &[1; 32],
        },
    );
    let pcrs = PcrSelection::sha256(&[0, 7]);
    check_response(
        response,
        &Quote {
            key: &key,
            qualifying_data: &blob,
            pcrs,
        },
    );
    check_response(
        response,
        &PolicyPcr {
            session: &session,
            digest: &[],
            pcrs,
        },
    );
    check_response(response, &PolicyAuthValue { session: &session });
    check_response(
        response,
        &PolicySecret {
            entity: &Entity::OWNER,
            session: &session,
        },
    );
    check_response(response, &PcrRead { pcrs });
    check_response(
        response,
        &PcrExtend {
            pcr: &Entity::pcr(0),
            digest: &[1; 32],
        },
    );
    check_response(response, &DictionaryAttackLockReset);
    check_response(
        response,
        &StartAuthSession {
            tpm_key: &key,
            nonce_caller: &[1; 32],
            salt: &point,
            session_type: SessionType::Hmac,
        },
    );

    // The same in a session, which only the TPM's own key could have established.
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let wire = Wire {
        response,
        commands: 0,
    };
    let tpm = Tpm::new(wire, &mut buffer, &mut contexts);
    let parent = ParentKey::Primary(Template::H2);
    let mut keys = TpmKeys::new(tpm, Counter(1), parent, Name::new(&[7; 34]).unwrap());
    let public = [
        0, 16, 0, 8, 0, 0x0b, 0, 4, 0, 0x40, 0, 0, 0, 5, 0, 0x0b, 0, 0,
    ];
    let blobs = KeyBlobs::new(&blob, &public).unwrap();
    let mut hmac_key = HmacKey::new(blobs, AuthValue::empty()).unwrap();
    let mut out = [0; 32];
    run(keys.hmac(&mut hmac_key, &[b"data"], &mut out)).unwrap_err();
    assert_eq!(out, [0; 32]);
});
