//! Tests of invalid files, TPMs, passwords and lengths: each yields its own error, and the next use succeeds.

use super::*;
use chanbind::tpm::{KeyFileError, Parent, PcrSelection, TpmError, TpmName};

#[tokio::test]
async fn rejects_unreachable_tpm_and_invalid_tcti() {
    let port = chanbind_host_tests::port::neighbours().unwrap();
    let unreachable = Tpm::open(
        &chanbind_host_tests::swtpm::tcti(port),
        OpenOptions::default(),
    )
    .await;
    let message = unreachable.unwrap_err().to_string();
    assert!(
        message.contains("start one with `swtpm") && message.contains("Connection refused"),
        "{message}"
    );
    for invalid in [
        "",
        "swtpm:port=x",
        "swtpm:prot=2321",
        "teepee:em",
        "device:tpmrm0",
        "swtpm:host=127.0.0.1,port=99999",
    ] {
        let error = Tpm::open(invalid, OpenOptions::default())
            .await
            .unwrap_err();
        assert!(matches!(error, TpmError::Tcti { .. }), "{invalid}: {error}");
    }
}

#[test]
fn rejects_invalid_key_files() {
    let good = std::fs::read_to_string(vector("go-demo/tpm-key.pem")).unwrap();
    assert!(KeyFile::from_pem(&good).is_ok());
    assert!(KeyFile::from_pem(&format!("a comment\n\n{good}\n")).is_ok());
    let assert_error = |pem: &str, expected: fn(&KeyFileError) -> bool| {
        let error = KeyFile::from_pem(pem).unwrap_err();
        assert!(expected(&error), "{error}");
        assert!(error.to_string().len() > 20);
    };
    assert_error("", |error| matches!(error, KeyFileError::NotPem));
    assert_error("secret", |error| matches!(error, KeyFileError::NotPem));
    assert_error(
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        |error| matches!(error, KeyFileError::OtherKey),
    );
    assert_error(&"x".repeat(70_000), |error| {
        matches!(error, KeyFileError::TooLong { .. })
    });
    assert_error(&good.replace("MIHU", "MIHV"), |error| {
        matches!(error, KeyFileError::Encoding(_))
    });
    assert_error(&good.replace('B', "!"), |error| {
        !matches!(error, KeyFileError::TooLong { .. })
    });
    assert_error(good.split_once("-----END").unwrap().0, |error| {
        matches!(error, KeyFileError::Encoding(_))
    });
    for cut in (30..good.len() - 30).step_by(7) {
        let _ = KeyFile::from_pem(&format!("{}{}", &good[..cut], &good[cut + 3..])).is_err();
    }
}

#[tokio::test]
async fn rejects_hmac_key_of_another_tpm() {
    let (first, second) = (Swtpm::start().unwrap(), Swtpm::start().unwrap());
    let (tpm, other) = (open(&first).await, open(&second).await);
    let foreign = import(&other).await;
    assert!(matches!(
        tpm.load(foreign, None).await,
        Err(TpmError::ForeignKey)
    ));
    let own = import(&tpm).await;
    assert_eq!(
        *tpm.load(own, None)
            .await
            .unwrap()
            .hmac(b"data")
            .await
            .unwrap(),
        hmac(SECRET, b"data")
    );
}

#[tokio::test]
async fn rejects_parent_whose_name_was_not_pinned() {
    let (first, second) = (Swtpm::start().unwrap(), Swtpm::start().unwrap());
    let name = open(&first)
        .await
        .parent_name(Parent::default())
        .await
        .unwrap();
    assert_eq!(name.as_bytes().len(), 34);
    assert_eq!(name.to_string().parse::<TpmName>().unwrap(), name);
    let pinned = || {
        let mut options = OpenOptions::default();
        options.parent_name = Some(name.clone());
        options
    };
    let tpm = Tpm::open(&first.tcti(), pinned()).await.unwrap();
    let file = import(&tpm).await;
    assert!(tpm.load(file.clone(), None).await.is_ok());
    let other = Tpm::open(&second.tcti(), pinned()).await.unwrap();
    for result in [
        other.load(file, None).await.err(),
        other
            .import_hmac_key(SECRET, KeyOptions::default())
            .await
            .err(),
        other.create_hmac_key(KeyOptions::default()).await.err(),
    ] {
        assert!(
            matches!(result, Some(TpmError::ParentName { .. })),
            "{result:?}"
        );
    }
    other.close().await;
    assert_eq!(second.orphans(), [""; 0]);
}

#[tokio::test]
async fn rejects_missing_persistent_parent() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let mut options = KeyOptions::default();
    options.parent = Parent::Persistent(0x8100_1234);
    let error = tpm.import_hmac_key(SECRET, options).await.unwrap_err();
    assert!(matches!(error, TpmError::NoParent(_)), "{error}");
    import(&tpm).await;
    assert!(matches!(
        Parent::from_handle(0x8000_0000),
        Err(KeyFileError::Parent(_))
    ));
}

#[tokio::test]
async fn rejects_lengths_out_of_range() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    for len in [0, 1025] {
        let error = tpm
            .import_hmac_key(&vec![1; len], KeyOptions::default())
            .await
            .unwrap_err();
        assert!(
            matches!(error, TpmError::SecretLength { actual, max: 1024 } if actual == len),
            "{error}"
        );
    }
    for len in [1, 64, 65, 1024] {
        let file = tpm
            .import_hmac_key(&vec![1; len], KeyOptions::default())
            .await
            .unwrap();
        let key = tpm.load(file, None).await.unwrap();
        assert_eq!(
            *key.hmac(b"data").await.unwrap(),
            hmac(&vec![1; len], b"data"),
            "{len}"
        );
        let error = key.hmac(&[0; 1025]).await.unwrap_err();
        assert!(
            matches!(
                error,
                TpmError::DataTooLong {
                    actual: 1025,
                    max: 1024
                }
            ),
            "{error}"
        );
    }
    assert!(matches!(
        Auth::new(&[1; 65]),
        Err(TpmError::AuthLength {
            actual: 65,
            max: 64
        })
    ));
    for invalid in [
        "",
        "sha256",
        "sha256:",
        "sha256:24",
        "md5:0",
        "sha256:0,x",
        "0,1",
    ] {
        assert!(
            matches!(
                invalid.parse::<PcrSelection>(),
                Err(TpmError::PcrSelection(_))
            ),
            "{invalid}"
        );
    }
}

/// A TPM loads other kinds of keys too, but they cannot compute HMAC-SHA256.
#[tokio::test]
async fn rejects_keys_that_are_not_hmac_sha256() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let mut file = import(&tpm).await;
    // Change the type at the start of TPMT_PUBLIC from keyedHash to another one, then the hash.
    let good = file.clone();
    file.public[3] = 0x25;
    assert!(tpm.load(file.clone(), None).await.is_err());
    file = good.clone();
    let scheme = file.public.len() - 36;
    assert_eq!(file.public[scheme..scheme + 2], [0x00, 0x0b]);
    file.public[scheme + 1] = 0x0c;
    assert!(matches!(
        tpm.load(file, None).await,
        Err(TpmError::NotHmacKey)
    ));
    assert!(tpm.load(good, None).await.is_ok());
}

/// Every wrong password counts. After too many, even the correct one is rejected, until the lockout is cleared.
#[tokio::test]
async fn reports_lockout_after_wrong_passwords() {
    let swtpm = Swtpm::start().unwrap();
    swtpm.tool(
        "tpm2_dictionarylockout",
        &[
            "--setup-parameters",
            "--max-tries=3",
            "--recovery-time=1000",
            "--lockout-recovery-time=1000",
        ],
    );
    let tpm = open(&swtpm).await;
    let mut options = KeyOptions::default();
    options.auth = auth("right");
    options.dictionary_attack_protection = true;
    let file = tpm.import_hmac_key(SECRET, options).await.unwrap();
    let (right, wrong) = (
        tpm.load(file.clone(), auth("right")).await.unwrap(),
        tpm.load(file.clone(), auth("wrong")).await.unwrap(),
    );
    let missing = tpm.load(file, None).await.unwrap();
    assert!(matches!(
        missing.hmac(b"data").await,
        Err(TpmError::WrongAuth)
    ));
    for _ in 0..2 {
        assert!(matches!(
            wrong.hmac(b"data").await,
            Err(TpmError::WrongAuth)
        ));
    }
    assert!(matches!(
        right.hmac(b"data").await,
        Err(TpmError::LockedOut)
    ));
    tpm.close().await;
    swtpm.tool("tpm2_dictionarylockout", &["--clear-lockout"]);
    assert_eq!(*right.hmac(b"data").await.unwrap(), hmac(SECRET, b"data"));
}

/// If another program has filled the TPM's slots, the error says so. After that program has flushed them, the key can be used.
#[tokio::test]
async fn reports_full_tpm() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let file = import(&tpm).await;
    tpm.close().await;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..3 {
        let context = folder.path().join(number.to_string()).display().to_string();
        swtpm.tool("tpm2_createprimary", &["-c", &context]);
    }
    assert!(matches!(
        tpm.load(file.clone(), None).await,
        Err(TpmError::Full)
    ));
    tpm.close().await;
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    let key = tpm.load(file, None).await.unwrap();
    assert_eq!(*key.hmac(b"data").await.unwrap(), hmac(SECRET, b"data"));
}
