//! Tests of provisioning: interoperability with tpm2-tools in both directions, parents, passwords and policies.

use super::*;
use chanbind::tpm::{Hierarchy, Parent, PcrSelection, PolicyCommand, TpmError};

#[tokio::test]
async fn tpm2_tools_use_our_hmac_key_files() {
    let swtpm = Swtpm::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let tpm = open(&swtpm).await;
    let files = [
        import(&tpm).await,
        tpm.create_hmac_key(KeyOptions::default()).await.unwrap(),
    ];
    tpm.close().await;
    std::fs::write(path("data"), b"data").unwrap();
    for (file, secret) in files.iter().zip([Some(SECRET), None]) {
        std::fs::write(path("key.pem"), file.to_pem().unwrap()).unwrap();
        swtpm.tool(
            "tpm2_load",
            &["-r", &path("key.pem"), "-c", &path("key.ctx")],
        );
        swtpm.tool("tpm2_flushcontext", &["-t"]);
        let output = swtpm.tool(
            "tpm2_hmac",
            &["-c", &path("key.ctx"), "--hex", &path("data")],
        );
        swtpm.tool("tpm2_flushcontext", &["-t"]);
        let theirs = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let key = tpm.load(file.clone(), None).await.unwrap();
        assert_eq!(hex::encode(&*key.hmac(b"data").await.unwrap()), theirs);
        if let Some(secret) = secret {
            assert_eq!(hex::encode(hmac(secret, b"data")), theirs);
        }
        tpm.close().await;
    }
}

#[tokio::test]
async fn uses_hmac_key_files_of_tpm2_tools() {
    let swtpm = Swtpm::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("secret"), SECRET).unwrap();
    let attributes =
        "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
    swtpm.tool(
        "tpm2_createprimary",
        &[
            "-C",
            "o",
            "-G",
            "ecc",
            "-g",
            "sha256",
            "-a",
            attributes,
            "-c",
            &path("primary.ctx"),
            "-u",
            "/dev/null",
        ],
    );
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    swtpm.tool(
        "tpm2_evictcontrol",
        &["-C", "o", "-c", &path("primary.ctx"), "0x81000001"],
    );
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    let tpm = open(&swtpm).await;
    tpm.close().await;
    for parent in ["0x40000001", "0x81000001"] {
        swtpm.tool(
            "tpm2_import",
            &[
                "-C",
                "0x81000001",
                "-G",
                "hmac",
                "-i",
                &path("secret"),
                "-u",
                &path("public"),
                "-r",
                &path("private"),
            ],
        );
        swtpm.tool(
            "tpm2_encodeobject",
            &[
                "-C",
                parent,
                "-u",
                &path("public"),
                "-r",
                &path("private"),
                "-o",
                &path("key.pem"),
            ],
        );
        let pem = std::fs::read_to_string(path("key.pem")).unwrap();
        let file = KeyFile::from_pem(&pem).unwrap();
        let key = tpm.load(file.clone(), None).await.unwrap();
        assert_eq!(
            *key.hmac(b"data").await.unwrap(),
            hmac(SECRET, b"data"),
            "{parent}"
        );
        assert_eq!(
            file.parent.handle(),
            u32::from_str_radix(&parent[2..], 16).unwrap()
        );
        tpm.close().await;
    }
}

#[tokio::test]
async fn hmac_key_file_round_trips() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let mut options = KeyOptions::default();
    options.description = Some("client1".to_owned());
    options.pcrs = Some("sha256:0,7".parse().unwrap());
    options.auth = auth("password");
    let file = tpm.import_hmac_key(SECRET, options).await.unwrap();
    assert!(matches!(
        file.policy.as_slice(),
        [PolicyCommand::Pcr { .. }, PolicyCommand::AuthValue]
    ));
    assert_eq!(KeyFile::from_pem(&file.to_pem().unwrap()).unwrap(), file);
}

#[tokio::test]
async fn uses_parents_in_every_hierarchy() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let mut names = Vec::new();
    for hierarchy in [
        Hierarchy::Owner,
        Hierarchy::Null,
        Hierarchy::Endorsement,
        Hierarchy::Platform,
    ] {
        let mut options = KeyOptions::default();
        options.parent = Parent::Primary(hierarchy);
        let file = tpm.import_hmac_key(SECRET, options).await.unwrap();
        let key = tpm.load(file, None).await.unwrap();
        assert_eq!(*key.hmac(b"data").await.unwrap(), hmac(SECRET, b"data"));
        names.push(tpm.parent_name(Parent::Primary(hierarchy)).await.unwrap());
    }
    names.dedup();
    assert_eq!(names.len(), 4);
}

#[tokio::test]
async fn uses_owner_hierarchy_with_password() {
    let swtpm = Swtpm::start().unwrap();
    swtpm.tool("tpm2_changeauth", &["-c", "owner", "owner password"]);
    let tpm = open(&swtpm).await;
    assert!(matches!(
        tpm.parent_name(Parent::default()).await,
        Err(TpmError::HierarchyAuth)
    ));
    let mut options = OpenOptions::default();
    options.hierarchy_auth = auth("owner password");
    let tpm = Tpm::open(&swtpm.tcti(), options).await.unwrap();
    let file = import(&tpm).await;
    let key = tpm.load(file, None).await.unwrap();
    assert_eq!(*key.hmac(b"data").await.unwrap(), hmac(SECRET, b"data"));
}

#[tokio::test]
async fn checks_hmac_key_passwords() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let with = |password: &str| {
        let mut options = KeyOptions::default();
        options.auth = auth(password);
        options
    };
    let imported = tpm.import_hmac_key(SECRET, with("password")).await.unwrap();
    let created = tpm.create_hmac_key(with("password")).await.unwrap();
    for file in [imported, created] {
        assert!(!file.empty_auth);
        let key = tpm.load(file.clone(), auth("password")).await.unwrap();
        let mac = key.hmac(b"data").await.unwrap();
        let key = tpm.load(file.clone(), auth("password\0\0")).await.unwrap();
        assert_eq!(
            key.hmac(b"data").await.unwrap(),
            mac,
            "a TPM removes trailing zeroes"
        );
        let key = tpm.load(file, auth("wrong")).await.unwrap();
        assert!(matches!(key.hmac(b"data").await, Err(TpmError::WrongAuth)));
    }
}

#[tokio::test]
async fn hmac_key_requires_pcr_values() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    for password in [None, Some("password")] {
        let mut options = KeyOptions::default();
        let registers: PcrSelection = "sha256:16,0".parse().unwrap();
        assert_eq!(registers.to_string(), "sha256:0,16");
        options.pcrs = Some(registers);
        options.auth = password.map(|password| Auth::new(password.as_bytes()).unwrap());
        let file = tpm.import_hmac_key(SECRET, options).await.unwrap();
        let key = tpm
            .load(file.clone(), password.and_then(auth))
            .await
            .unwrap();
        for _ in 0..3 {
            assert_eq!(*key.hmac(b"data").await.unwrap(), hmac(SECRET, b"data"));
        }
        if password.is_some() {
            let wrong = tpm.load(file.clone(), auth("wrong")).await.unwrap();
            assert!(matches!(
                wrong.hmac(b"data").await,
                Err(TpmError::WrongAuth)
            ));
            assert_eq!(*key.hmac(b"data").await.unwrap(), hmac(SECRET, b"data"));
        }
        tpm.close().await;

        swtpm.tool(
            "tpm2_pcrextend",
            &[&format!("16:sha256={}", "11".repeat(32))],
        );

        assert!(matches!(
            key.hmac(b"data").await,
            Err(TpmError::PolicyFailed)
        ));
        tpm.close().await;
        swtpm.tool("tpm2_pcrreset", &["16"]);
        assert_eq!(*key.hmac(b"data").await.unwrap(), hmac(SECRET, b"data"));
        tpm.close().await;
    }
}
