//! Derivations by keys in a TPM.

use super::*;
use chanbind_core::{
    exporter::ExporterSecret,
    kdf::{HmacSha256, Layout, derive, derive_async},
    otp::{ClientId, OneTimeKey, Profile, Purpose},
};

#[tokio::test]
async fn key_and_state_of_the_go_demo() {
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
async fn every_layout_equals_software() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let file = import(&tpm).await;
    let mut key = tpm.load(file, None).await.unwrap();
    for (layout, len) in [
        (Layout::VAULT, 32),
        (Layout::VAULT, 100),
        (Layout::sp800_108(b"label"), 64),
        (Layout::Hmac, 32),
        (Layout::Hmac, 16),
    ] {
        let (mut inside, mut outside) = (vec![0; len], vec![0; len]);
        derive_async(&layout, b"keying material", &mut key, &mut inside)
            .await
            .unwrap();
        derive(
            &layout,
            b"keying material",
            &mut HmacSha256::new(SECRET),
            &mut outside,
        )
        .unwrap();
        assert_eq!(inside, outside, "{layout:?}");
    }
}

#[test]
fn without_an_executor() {
    let swtpm = Swtpm::start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut key = runtime.block_on(async {
        let tpm = open(&swtpm).await;
        let file = import(&tpm).await;
        tpm.load(file, None).await.unwrap()
    });
    let channel = ExporterSecret::sha256(&[7; 32]);
    let (profile, client) = (Profile::default(), ClientId::new("client1").unwrap());
    let inside = OneTimeKey::derive(&profile, Purpose::ApiKey, client, &channel, &mut key).unwrap();
    let outside = OneTimeKey::derive(
        &profile,
        Purpose::ApiKey,
        client,
        &channel,
        &mut HmacSha256::new(SECRET),
    )
    .unwrap();
    assert_eq!(inside.as_bytes(), outside.as_bytes());
}

#[tokio::test]
async fn all_lengths_up_to_the_limit() {
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

/// More keys than the TPM has slots, from more tasks than it has clients, and nothing is left behind.
#[tokio::test(flavor = "multi_thread")]
async fn many_keys_and_many_tasks() {
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

/// The executor's only thread goes on while the TPM works.
#[tokio::test(flavor = "current_thread")]
async fn the_executor_is_not_blocked() {
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

/// Futures that are dropped while the TPM works cost nothing but their own answer.
#[tokio::test]
async fn abandoned_derivations_do_no_harm() {
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

/// A TPM that was reset has forgotten keys and sessions; the next use makes them again.
#[tokio::test]
async fn a_reset_tpm_is_used_again() {
    let mut swtpm = Swtpm::start().unwrap();
    let tpm = open(&swtpm).await;
    let file = import(&tpm).await;
    let key = tpm.load(file, None).await.unwrap();
    key.hmac(b"before").await.unwrap();
    swtpm.restart().unwrap();
    assert_eq!(*key.hmac(b"after").await.unwrap(), hmac(SECRET, b"after"));
}

/// Without a close, the last handle that goes flushes what is left.
#[tokio::test]
async fn the_last_handle_clears_up() {
    let swtpm = Swtpm::start().unwrap();
    let key = {
        let tpm = open(&swtpm).await;
        let file = import(&tpm).await;
        tpm.load(file, None).await.unwrap()
    };
    assert_eq!(*key.hmac(b"data").await.unwrap(), hmac(SECRET, b"data"));
    drop(key);
    // swtpm serves one client at a time, so the look has to wait for the thread.
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(swtpm.orphans(), [""; 0]);
}
