//! Tests of derivations with HMAC keys in a TPM.

use super::*;
use chanbind_core::{
    exporter::ExporterSecret,
    kdf::{HmacSha256, Layout, Step, derive},
    otp::{ClientId, OneTimeKey, Profile, Purpose},
};

#[tokio::test]
async fn loads_go_demo_key_from_recorded_tpm_state() {
    let swtpm = Swtpm::start_from(&vector("go-demo/tpm2-00.permall")).unwrap();
    let tpm = open(&swtpm).await;
    let pem = std::fs::read_to_string(vector("go-demo/tpm-key.pem")).unwrap();
    let key = tpm
        .load(KeyFile::from_pem(&pem).unwrap(), None)
        .await
        .unwrap();
    assert_eq!(
        hex::encode(&*key.hmac(&[0; 32]).await.unwrap()),
        "6acc75e125e8ce348f020e6f9d3d682f8bbed78aa4f9900fe0317a94b6fbcabc"
    );
}

#[tokio::test]
async fn every_layout_matches_software() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let file = import(&tpm).await;
    let key = tpm.load(file, None).await.unwrap();
    for (layout, len) in [
        (Layout::VAULT, 32),
        (Layout::VAULT, 100),
        (Layout::sp800_108(b"label"), 64),
        (Layout::Hmac, 32),
        (Layout::Hmac, 16),
    ] {
        let (mut by_tpm, mut by_software) = (vec![0; len], vec![0; len]);
        let mut step = layout
            .derivation(b"keying material", 32, &mut by_tpm)
            .unwrap();
        while let Step::Prf(pending) = step {
            let mac = key.hmac(&pending.input().parts().concat()).await.unwrap();
            step = pending.answer(&mac).unwrap();
        }
        drop(step);
        derive(
            &layout,
            b"keying material",
            &mut HmacSha256::new(SECRET),
            &mut by_software,
        )
        .unwrap();
        assert_eq!(by_tpm, by_software, "{layout:?}");
    }
}

#[test]
fn derives_without_executor() {
    let swtpm = Swtpm::start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut key = runtime.block_on(async {
        let tpm = open(&swtpm).await;
        let file = import(&tpm).await;
        tpm.load(file, None).await.unwrap()
    });
    let channel = ExporterSecret::sha256(&[7; 32]);
    let (profile, client) = (Profile::default(), ClientId::new("client1").unwrap());
    let by_tpm = OneTimeKey::derive(&profile, Purpose::ApiKey, client, &channel, &mut key).unwrap();
    let by_software = OneTimeKey::derive(
        &profile,
        Purpose::ApiKey,
        client,
        &channel,
        &mut HmacSha256::new(SECRET),
    )
    .unwrap();
    assert_eq!(by_tpm.as_bytes(), by_software.as_bytes());
}

#[tokio::test]
async fn accepts_all_lengths_up_to_the_limit() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let file = import(&tpm).await;
    let key = tpm.load(file, None).await.unwrap();
    for len in [0, 1, 63, 64, 65, 1023, 1024] {
        let data = vec![0xa5; len];
        assert_eq!(
            *key.hmac(&data).await.unwrap(),
            hmac(SECRET, &data),
            "{len}"
        );
    }
}

/// Uses more keys than the TPM has slots, from many tasks at once. Nothing is left in the TPM afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn serves_many_hmac_keys_from_many_tasks() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let mut tasks = Vec::new();
    for number in 0..6u8 {
        let secret = [number + 1; 32];
        let file = tpm
            .import_hmac_key(&secret, KeyOptions::default())
            .await
            .unwrap();
        let key = tpm.load(file, None).await.unwrap();
        for _ in 0..3 {
            let key = key.clone();
            tasks.push(tokio::spawn(async move {
                for round in 0..5u8 {
                    assert_eq!(*key.hmac(&[round]).await.unwrap(), hmac(&secret, &[round]));
                    tokio::task::yield_now().await;
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

/// The executor's only thread runs other tasks while the TPM works.
#[tokio::test(flavor = "current_thread")]
async fn does_not_block_the_executor() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let file = import(&tpm).await;
    let key = tpm.load(file, None).await.unwrap();
    let mut turns = 0u32;
    let work = async {
        for round in 0..20u8 {
            key.hmac(&[round]).await.unwrap();
        }
    };
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            () = &mut work => break,
            () = tokio::task::yield_now() => turns += 1,
        }
    }
    assert!(turns > 20, "{turns} turns while the TPM worked 20 times");
}

/// Dropping a future while the TPM works loses only the result of that future.
#[tokio::test]
async fn survives_dropped_derivations() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let file = import(&tpm).await;
    let key = tpm.load(file, None).await.unwrap();
    for _ in 0..20 {
        let hmac = key.hmac(b"x");
        tokio::select! {
            biased;
            _ = hmac => {}
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(*key.hmac(b"data").await.unwrap(), hmac(SECRET, b"data"));
}

/// A reset TPM has lost its keys and sessions. The next use creates them again.
#[tokio::test]
async fn uses_hmac_key_after_tpm_reset() {
    let mut swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let file = import(&tpm).await;
    let key = tpm.load(file, None).await.unwrap();
    key.hmac(b"before").await.unwrap();
    swtpm.restart().unwrap();
    assert_eq!(*key.hmac(b"after").await.unwrap(), hmac(SECRET, b"after"));
}

/// Without a call of `close`, dropping the last handle flushes the TPM.
#[tokio::test]
async fn dropping_the_last_handle_flushes_the_tpm() {
    let swtpm = Swtpm::start().unwrap();
    let key = {
        let tpm = open(&swtpm).await;
        let file = import(&tpm).await;
        tpm.load(file, None).await.unwrap()
    };
    assert_eq!(*key.hmac(b"data").await.unwrap(), hmac(SECRET, b"data"));
    drop(key);
    // swtpm serves one client at a time, so wait until the thread has disconnected.
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(swtpm.orphans(), [""; 0]);
}
