//! Tests of attacks and failures on the connection to the TPM: eavesdropping, modified responses and broken connections.

use super::*;
use chanbind::tpm::TpmError;
use chanbind_host_tests::tpm_line::TpmLine;

const TPM2_IMPORT: u32 = 0x156;
const TPM2_HMAC: u32 = 0x155;
const TPM2_LOAD: u32 = 0x157;
const TPM2_CREATE_PRIMARY: u32 = 0x131;
const TPM2_START_AUTH_SESSION: u32 = 0x176;
const TPM2_READ_PUBLIC: u32 = 0x173;
const TPM2_FLUSH_CONTEXT: u32 = 0x165;

#[tokio::test]
async fn sends_no_secret_in_the_clear() {
    let swtpm = Swtpm::start().unwrap();
    let line = TpmLine::to(swtpm.port()).unwrap();
    let tpm = Tpm::open(&line.tcti(), OpenOptions::default())
        .await
        .unwrap();
    let secret = b"an HMAC key that must be hidden.";
    let password = "a password that must be hidden";
    let material = b"keying material of a connection.";
    for pcrs in [None, Some("sha256:0")] {
        let mut options = KeyOptions::default();
        options.auth = auth(password);
        options.pcrs = pcrs.map(|pcrs| pcrs.parse().unwrap());
        let imported = tpm.import_hmac_key(secret, options).await.unwrap();
        let mut options = KeyOptions::default();
        options.auth = auth(password);
        let created = tpm.create_hmac_key(options).await.unwrap();
        for file in [imported, created] {
            let key = tpm.load(file, auth(password)).await.unwrap();
            let derived = key.hmac(material).await.unwrap();
            assert!(!line.has_seen(&derived));
        }
    }
    for hidden in [
        &secret[..],
        password.as_bytes(),
        material,
        &hmac(secret, material),
    ] {
        assert!(!line.has_seen(&hidden[..16.min(hidden.len())]));
    }
    // The relay does observe the connection: command codes are sent in the clear.
    assert!(line.has_seen(&TPM2_HMAC.to_be_bytes()));
    assert!(line.take_commands().contains(&TPM2_IMPORT));
}

#[tokio::test]
async fn reuses_parent_and_session_for_derivations() {
    let swtpm = Swtpm::start().unwrap();
    let line = TpmLine::to(swtpm.port()).unwrap();
    let tpm = Tpm::open(&line.tcti(), OpenOptions::default())
        .await
        .unwrap();
    let file = import(&tpm).await;
    let key = tpm.load(file, None).await.unwrap();
    let before = line.take_commands();
    for once in [TPM2_CREATE_PRIMARY, TPM2_START_AUTH_SESSION] {
        assert_eq!(before.iter().filter(|&&code| code == once).count(), 1);
    }
    for _ in 0..10 {
        key.hmac(b"data").await.unwrap();
    }
    assert_eq!(line.take_commands(), [TPM2_HMAC; 10]);
}

#[tokio::test]
async fn recovers_from_connection_broken_during_a_command() {
    let swtpm = Swtpm::start().unwrap();
    let line = TpmLine::to(swtpm.port()).unwrap();
    let tpm = Tpm::open(&line.tcti(), OpenOptions::default())
        .await
        .unwrap();
    let file = import(&tpm).await;
    tpm.close().await;
    for command in [
        TPM2_CREATE_PRIMARY,
        TPM2_READ_PUBLIC,
        TPM2_START_AUTH_SESSION,
        TPM2_LOAD,
        TPM2_HMAC,
    ] {
        // Open a new handle each time, so that every command is sent again.
        let tpm = Tpm::open(&line.tcti(), OpenOptions::default())
            .await
            .unwrap();
        line.cut_at(command);
        let cut = match tpm.load(file.clone(), None).await {
            Ok(key) => key.hmac(b"data").await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(
            matches!(cut, Err(TpmError::Vanished { .. })),
            "{command:#x}: {cut:?}"
        );
        let key = tpm.load(file.clone(), None).await.unwrap();
        assert_eq!(
            *key.hmac(b"data").await.unwrap(),
            hmac(SECRET, b"data"),
            "{command:#x}"
        );
        tpm.close().await;
        assert_eq!(swtpm.orphans(), [""; 0], "{command:#x}");
    }
}

#[tokio::test]
async fn rejects_modified_hmac_response() {
    let swtpm = Swtpm::start().unwrap();
    let line = TpmLine::to(swtpm.port()).unwrap();
    let tpm = Tpm::open(&line.tcti(), OpenOptions::default())
        .await
        .unwrap();
    let file = import(&tpm).await;
    let key = tpm.load(file, None).await.unwrap();
    line.change_answer_to(TPM2_HMAC);
    assert!(matches!(
        key.hmac(b"data").await,
        Err(TpmError::NotAuthentic)
    ));
    assert_eq!(*key.hmac(b"data").await.unwrap(), hmac(SECRET, b"data"));
    assert!(
        line.take_commands().contains(&TPM2_FLUSH_CONTEXT),
        "the session that failed is flushed"
    );
}

/// An attacker replaces the response to CreatePrimary, and then also that to ReadPublic, by one with the attacker's key. If the
/// client accepted it, it would salt its sessions to the attacker's key.
#[tokio::test]
async fn rejects_substituted_parent_key() {
    let (swtpm, attacker) = (Swtpm::start().unwrap(), Swtpm::start().unwrap());
    let line = TpmLine::to(attacker.port()).unwrap();
    let tpm = Tpm::open(&line.tcti(), OpenOptions::default())
        .await
        .unwrap();
    let attacker_name = tpm
        .parent_name(chanbind::tpm::Parent::default())
        .await
        .unwrap();
    tpm.close().await;
    let create_primary = line.answer_to(TPM2_CREATE_PRIMARY).unwrap();
    let read_public = line.answer_to(TPM2_READ_PUBLIC).unwrap();

    let tpm = open(&swtpm).await;
    let name = tpm
        .parent_name(chanbind::tpm::Parent::default())
        .await
        .unwrap();
    let file = import(&tpm).await;
    tpm.close().await;
    let line = TpmLine::to(swtpm.port()).unwrap();
    for (what, both) in [("one response", false), ("both responses", true)] {
        let mut options = OpenOptions::default();
        options.parent_name = Some(name.clone());
        let tpm = Tpm::open(&line.tcti(), options).await.unwrap();
        line.substitute(TPM2_CREATE_PRIMARY, create_primary.clone());
        if both {
            line.substitute(TPM2_READ_PUBLIC, read_public.clone());
        }
        let _ = line.take_commands();
        let error = tpm.load(file.clone(), None).await.unwrap_err();
        match error {
            TpmError::NotAuthentic => assert!(!both, "{what}"),
            TpmError::ParentName { ref actual, .. } => assert_eq!(*actual, attacker_name, "{what}"),
            other => panic!("{what}: {other}"),
        }
        let sent = line.take_commands();
        assert!(
            !sent.contains(&TPM2_START_AUTH_SESSION),
            "{what}: no session is started after it, {sent:x?}"
        );
        // Without the attacker, loading succeeds.
        assert_eq!(
            *tpm.load(file.clone(), None)
                .await
                .unwrap()
                .hmac(b"data")
                .await
                .unwrap(),
            hmac(SECRET, b"data")
        );
        tpm.close().await;
    }
}
