//! Tests of ECDSA keys that are created in the TPM.

use super::*;
use chanbind::tpm::{PcrSelection, PolicyCommand, TpmError, TpmSigningKey};
use chanbind_core::crypto::ecdsa::{RUST_CRYPTO, Signature};
use chanbind_host_tests::tpm_line::TpmLine;
use chanbind_tpm_spi::{
    key::{KeyBlobs, SigningKey, WrongKey},
    session::AuthValue,
};
use p256::ecdsa::{VerifyingKey, signature::hazmat::PrehashVerifier};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

const TPM2_SIGN: u32 = 0x15d;
const TPM2_CREATE: u32 = 0x153;
const TPM2_LOAD: u32 = 0x157;
const TPM2_FLUSH_CONTEXT: u32 = 0x165;

#[tokio::test]
async fn signatures_verify_in_software() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let key = create(&tpm).await;
    let mut seen = Vec::new();
    for digest in [
        [0; 32],
        [0xff; 32],
        Sha256::digest(b"").into(),
        Sha256::digest(b"data").into(),
        Sha256::digest(b"data").into(),
    ] {
        let signature = key.sign(&digest).await.unwrap();
        assert!(is_valid(key.public_key(), &digest, &signature));
        assert!(RUST_CRYPTO.verify(key.public_key(), &digest, &signature));
        let mut other = digest;
        other[31] ^= 1;
        assert!(!is_valid(key.public_key(), &other, &signature));
        assert!(!seen.contains(&signature.r), "a nonce was used twice");
        seen.push(signature.r);
    }
    let another = create(&tpm).await;
    assert_ne!(another.public_key(), key.public_key());
    let signature = another.sign(&[7; 32]).await.unwrap();
    assert!(!is_valid(key.public_key(), &[7; 32], &signature));
}

/// Signing keys are bound to the TPM, can only sign, and are accepted by the firmware's driver.
#[tokio::test]
async fn signing_key_has_expected_public_area() {
    const FIXED_TPM: u32 = 0x2;
    const FIXED_PARENT: u32 = 0x10;
    const SENSITIVE_DATA_ORIGIN: u32 = 0x20;
    const USER_WITH_AUTH: u32 = 0x40;
    const NO_DA: u32 = 0x400;
    const SIGN: u32 = 0x4_0000;
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let always = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | SIGN;
    for (password, pcrs, attributes) in [
        (None, None, always | USER_WITH_AUTH | NO_DA),
        (Some("password"), None, always | USER_WITH_AUTH | NO_DA),
        (None, Some("sha256:0"), always | NO_DA),
        (Some("password"), Some("sha256:0"), always | NO_DA),
    ] {
        let file = tpm
            .create_signing_key(options(password, pcrs))
            .await
            .unwrap();
        // TPM2B_PUBLIC: size, type, nameAlg, objectAttributes; after the policy symmetric, scheme, hash, curve, KDF, x, y.
        let area = &file.public[2..];
        assert_eq!(area[..4], [0x00, 0x23, 0x00, 0x0b]);
        assert_eq!(area[4..8], attributes.to_be_bytes());
        let policy = usize::from(area[9]);
        assert_eq!(policy, if pcrs.is_some() { 32 } else { 0 });
        assert_eq!(
            area[10 + policy..][..10],
            [0x00, 0x10, 0x00, 0x18, 0x00, 0x0b, 0x00, 0x03, 0x00, 0x10]
        );
        assert_eq!(file.empty_auth, password.is_none());

        let blobs = KeyBlobs::new(&file.private, &file.public).unwrap();
        let theirs = SigningKey::new(blobs, AuthValue::empty());
        let ours = tpm.load_signing_key(file.clone(), None).await.unwrap();
        if pcrs.is_some() {
            // Firmware supports keys with a password only, not with a policy.
            assert_eq!(theirs.map(|_| ()), Err(WrongKey::Policy));
            continue;
        }
        let theirs = theirs.unwrap();
        let point = theirs.public_key();
        assert_eq!(
            ours.public_key()[..],
            [&[4], &point.x[..], &point.y].concat()
        );
        assert_eq!(*ours.file(), file);
    }
}

#[test]
fn signs_without_executor() {
    let swtpm = Swtpm::start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let key = runtime.block_on(async { create(&open(&swtpm).await).await });
    let signature = key.sign_blocking(&[7; 32]).unwrap();
    assert!(is_valid(key.public_key(), &[7; 32], &signature));
}

#[tokio::test]
async fn checks_signing_key_passwords() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let options = options(Some("password"), None);
    let file = tpm.create_signing_key(options).await.unwrap();
    assert!(!file.empty_auth);
    let [right, wrong, missing] = [auth("password"), auth("wrong"), None]
        .map(|auth| (tpm.clone(), file.clone(), auth))
        .map(|(tpm, file, auth)| async move { tpm.load_signing_key(file, auth).await.unwrap() });
    let (right, wrong, missing) = tokio::join!(right, wrong, missing);
    assert!(signs(&right).await);
    for key in [wrong, missing] {
        let result = key.sign(&[7; 32]).await;
        assert!(matches!(result, Err(TpmError::WrongAuth)), "{result:?}");
    }
    assert!(signs(&right).await);
}

#[tokio::test]
async fn signing_key_requires_pcr_values() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    for password in [None, Some("password")] {
        let options = options(password, Some("sha256:0,16"));
        let file = tpm.create_signing_key(options).await.unwrap();
        let key = tpm
            .load_signing_key(file.clone(), password.and_then(auth))
            .await
            .unwrap();
        for _ in 0..3 {
            assert!(signs(&key).await);
        }
        if password.is_some() {
            let wrong = tpm.load_signing_key(file, auth("wrong")).await.unwrap();
            let result = wrong.sign(&[7; 32]).await;
            assert!(matches!(result, Err(TpmError::WrongAuth)), "{result:?}");
            assert!(signs(&key).await);
        }
        tpm.close().await;
        let extend = format!("16:sha256={}", "11".repeat(32));
        swtpm.tool("tpm2_pcrextend", &[&extend]);
        let result = key.sign(&[7; 32]).await;
        assert!(matches!(result, Err(TpmError::PolicyFailed)), "{result:?}");
        tpm.close().await;
        swtpm.tool("tpm2_pcrreset", &["16"]);
        assert!(signs(&key).await);
        tpm.close().await;
    }
}

/// Each function that loads a key accepts only its own kind of key, and its error names the remedy.
#[tokio::test]
async fn rejects_key_files_of_the_wrong_kind() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let signing = tpm.create_signing_key(KeyOptions::default()).await.unwrap();
    let error = tpm.load(signing.clone(), None).await.unwrap_err();
    assert!(matches!(error, TpmError::NotHmacKey), "{error}");
    for hmac in [
        import(&tpm).await,
        tpm.create_hmac_key(KeyOptions::default()).await.unwrap(),
    ] {
        let error = tpm.load_signing_key(hmac, None).await.unwrap_err();
        assert!(matches!(error, TpmError::NotSigningKey), "{error}");
        assert!(
            error.to_string().contains("`chanbind provision`"),
            "{error}"
        );
    }

    // The public area ends with symmetric, scheme, hash and curve, followed by KDF and point.
    let end = signing.public.len() - 68 - 10;
    let attributes = 2 + 4;
    for (what, at, right, wrong) in [
        ("restricted", attributes + 1, 0x04, 0x05),
        ("no sign", attributes + 1, 0x04, 0x00),
        ("ECSCHNORR", end + 3, 0x18, 0x1c),
        ("SHA-384", end + 5, 0x0b, 0x0c),
        ("P-384", end + 7, 0x03, 0x04),
    ] {
        let mut file = signing.clone();
        assert_eq!(file.public[at], right, "{what}");
        file.public[at] = wrong;
        let error = tpm.load_signing_key(file, None).await.unwrap_err();
        assert!(matches!(error, TpmError::NotSigningKey), "{what}: {error}");
    }
    // Change the point, so that it does not belong to the private part.
    let mut file = signing.clone();
    *file.public.last_mut().unwrap() ^= 1;
    assert!(tpm.load_signing_key(file, None).await.is_err());
    assert!(tpm.load_signing_key(signing, None).await.is_ok());
}

#[tokio::test]
async fn signing_key_file_round_trips() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let mut options = options(Some("password"), Some("sha256:0,7"));
    options.description = Some("client1".to_owned());
    let file = tpm.create_signing_key(options).await.unwrap();
    assert!(matches!(
        file.policy.as_slice(),
        [PolicyCommand::Pcr { .. }, PolicyCommand::AuthValue]
    ));
    let read = KeyFile::from_pem(&file.to_pem().unwrap()).unwrap();
    assert_eq!(read, file);
    let key = tpm.load_signing_key(read, auth("password")).await.unwrap();
    assert!(signs(&key).await);
}

#[tokio::test]
async fn tpm2_tools_use_our_signing_key_files() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let key = create(&tpm).await;
    tpm.close().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("key.pem"), key.file().to_pem().unwrap()).unwrap();
    std::fs::write(path("data"), b"data").unwrap();
    let context = path("key.ctx");
    swtpm.tool("tpm2_load", &["-r", &path("key.pem"), "-c", &context]);
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    let arguments = ["-f", "plain", "-o", &path("signature"), &path("data")];
    swtpm.tool("tpm2_sign", &[&["-c", &context][..], &arguments].concat());
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    let theirs = std::fs::read(path("signature")).unwrap();
    let digest = Sha256::digest(b"data").into();
    let theirs = Signature::from_der(&theirs).unwrap();
    assert!(is_valid(key.public_key(), &digest, &theirs));

    let ours = key.sign(&digest).await.unwrap();
    tpm.close().await;
    std::fs::write(path("ours"), ours.to_der(&mut [0; 72]).unwrap()).unwrap();
    let arguments = ["-f", "ecdsa", "-s", &path("ours"), "-m", &path("data")];
    swtpm.tool(
        "tpm2_verifysignature",
        &[&["-c", &context][..], &arguments].concat(),
    );
}

/// The keys have their scheme in the public area, or no scheme.
#[tokio::test]
async fn uses_signing_key_files_of_tpm2_tools() {
    let swtpm = Swtpm::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let attributes =
        "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
    let primary = path("primary.ctx");
    let arguments = ["-G", "ecc", "-a", attributes, "-c", &primary];
    swtpm.tool("tpm2_createprimary", &arguments);
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    swtpm.tool("tpm2_evictcontrol", &["-c", &primary, "0x81000001"]);
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    let tpm = open(&swtpm).await;
    for (algorithm, is_supported) in [
        ("ecc256:ecdsa-sha256:null", true),
        ("ecc256:null:null", true),
        ("ecc384:ecdsa-sha384:null", false),
    ] {
        tpm.close().await;
        let blobs = ["-u", &path("public"), "-r", &path("private")];
        let attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign";
        let arguments = ["-C", "0x81000001", "-G", algorithm, "-a", attributes];
        swtpm.tool("tpm2_create", &[&arguments[..], &blobs].concat());
        swtpm.tool("tpm2_flushcontext", &["-t"]);
        let arguments = ["-C", "0x81000001", "-o", &path("key.pem")];
        swtpm.tool("tpm2_encodeobject", &[&arguments[..], &blobs].concat());
        let pem = std::fs::read_to_string(path("key.pem")).unwrap();
        let key = tpm
            .load_signing_key(KeyFile::from_pem(&pem).unwrap(), None)
            .await;
        match key {
            Ok(key) => assert!(is_supported && signs(&key).await, "{algorithm}"),
            Err(TpmError::NotSigningKey) => assert!(!is_supported, "{algorithm}"),
            Err(other) => panic!("{algorithm}: {other}"),
        }
    }
}

/// Uses more keys of both kinds than the TPM has slots, from many tasks at once. Nothing is left in the TPM afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn serves_many_signing_keys_from_many_tasks() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let file = import(&tpm).await;
    let hmac_key = tpm.load(file, None).await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..6 {
        let key = create(&tpm).await;
        for _ in 0..3 {
            let (key, hmac_key) = (key.clone(), hmac_key.clone());
            tasks.push(tokio::spawn(async move {
                for round in 0..5u8 {
                    let signature = key.sign(&[round; 32]).await.unwrap();
                    assert!(is_valid(key.public_key(), &[round; 32], &signature));
                    let derived = hmac_key.hmac(&[round]).await.unwrap();
                    assert_eq!(*derived, hmac(SECRET, &[round]));
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    tpm.close().await;
    assert_eq!(swtpm.orphans(), [""; 0]);
}

/// A key is flushed when its last clone is dropped, and also when the future that loads it is dropped.
#[tokio::test]
async fn flushes_dropped_keys() {
    let swtpm = Swtpm::start().unwrap();
    let line = TpmLine::to(swtpm.port()).unwrap();
    let tpm = Tpm::open(&line.tcti(), OpenOptions::default())
        .await
        .unwrap();
    let key = create(&tpm).await;
    let clone = key.clone();
    drop(key);
    assert!(signs(&clone).await);
    assert!(!line.take_commands().contains(&TPM2_FLUSH_CONTEXT));
    let file = clone.file().clone();
    drop(clone);
    // The worker runs one job after the other, so it has flushed the key when this call returns.
    tpm.parent_name(Default::default()).await.unwrap();
    assert_eq!(line.take_commands(), [TPM2_FLUSH_CONTEXT]);

    let mut loading = Box::pin(tpm.load_signing_key(file, None));
    assert!(futures_util::poll!(&mut loading).is_pending());
    let deadline = Instant::now() + Duration::from_secs(10);
    while !line.take_commands().contains(&TPM2_LOAD) {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    drop(loading);
    tpm.parent_name(Default::default()).await.unwrap();
    assert_eq!(line.take_commands(), [TPM2_FLUSH_CONTEXT]);
}

#[tokio::test]
async fn rejects_signing_key_of_another_tpm() {
    let (first, second) = (Swtpm::start().unwrap(), Swtpm::start().unwrap());
    let (tpm, other) = (open(&first).await, open(&second).await);
    let foreign = create(&other).await.file().clone();
    let error = tpm.load_signing_key(foreign, None).await.unwrap_err();
    assert!(matches!(error, TpmError::ForeignKey), "{error}");
    assert!(signs(&create(&tpm).await).await);
}

#[tokio::test]
async fn uses_signing_key_after_tpm_reset() {
    let mut swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    for pcrs in [None, Some("sha256:0")] {
        let file = tpm.create_signing_key(options(None, pcrs)).await.unwrap();
        let key = tpm.load_signing_key(file, None).await.unwrap();
        assert!(signs(&key).await);
        swtpm.restart().unwrap();
        assert!(signs(&key).await);
    }
}

#[tokio::test]
async fn signing_hides_secrets_and_rejects_modified_responses() {
    let swtpm = Swtpm::start().unwrap();
    let line = TpmLine::to(swtpm.port()).unwrap();
    let tpm = Tpm::open(&line.tcti(), OpenOptions::default())
        .await
        .unwrap();
    let password = "a password that must be hidden";
    for pcrs in [None, Some("sha256:0")] {
        let options = options(Some(password), pcrs);
        let file = tpm.create_signing_key(options).await.unwrap();
        let key = tpm.load_signing_key(file, auth(password)).await.unwrap();
        let digest: [u8; 32] = Sha256::digest(b"a message that must be hidden").into();
        let signature = key.sign(&digest).await.unwrap();
        assert!(is_valid(key.public_key(), &digest, &signature));
        assert!(!line.has_seen(&digest[..16]) && !line.has_seen(&password.as_bytes()[..16]));
        // The signature is public and is sent in the clear: it is not a parameter that can be encrypted.
        assert!(line.has_seen(&signature.r));
        let commands = line.take_commands();
        assert!(commands.contains(&TPM2_CREATE) && commands.contains(&TPM2_SIGN));

        line.change_answer_to(TPM2_SIGN);
        let result = key.sign(&digest).await;
        assert!(matches!(result, Err(TpmError::NotAuthentic)), "{result:?}");
        assert!(signs(&key).await);
        line.cut_at(TPM2_SIGN);
        let cut = key.sign(&digest).await;
        assert!(matches!(cut, Err(TpmError::Vanished { .. })), "{cut:?}");
        assert!(signs(&key).await);
    }
    tpm.close().await;
    assert_eq!(swtpm.orphans(), [""; 0]);
}

#[tokio::test]
async fn debug_output_hides_key() {
    let swtpm = Swtpm::start().unwrap();
    let key = create(&open(&swtpm).await).await;
    assert_eq!(
        format!("{key:?}"),
        "TpmSigningKey(H2 primary of the owner hierarchy)"
    );
}

async fn create(tpm: &Tpm) -> TpmSigningKey {
    let file = tpm.create_signing_key(KeyOptions::default()).await.unwrap();
    tpm.load_signing_key(file, None).await.unwrap()
}

fn options(password: Option<&str>, pcrs: Option<&str>) -> KeyOptions {
    let mut options = KeyOptions::default();
    options.auth = password.and_then(auth);
    options.pcrs = pcrs.map(|pcrs| pcrs.parse::<PcrSelection>().unwrap());
    options
}

/// Returns whether the key produces a valid signature.
async fn signs(key: &TpmSigningKey) -> bool {
    let signature = key.sign(&[7; 32]).await.unwrap();
    is_valid(key.public_key(), &[7; 32], &signature)
}

/// Returns whether a signature is valid.
fn is_valid(public_key: &[u8; 65], digest: &[u8; 32], signature: &Signature) -> bool {
    let key = VerifyingKey::from_sec1_bytes(public_key).unwrap();
    p256::ecdsa::Signature::from_scalars(signature.r, signature.s)
        .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok())
}
