//! Vanadium's channel and blessings against the Go program in `interop/go/blessing`, which was written from the description alone.

use chanbind::proof::blessing::{
    ALGORITHMS, ChannelOptions, PeerPatterns, Principal, PrincipalKey, Received, VanadiumError,
    accept, dial,
};
use chanbind_core::blessing::{Condition, EncodedBlessings, Timestamp, channel::Setup};
use chanbind_host_tests::{
    go,
    principals::{block_on, key, key_with_scalar, named},
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// A factory, a door and a visitor, whose names it has given.
struct Parties {
    folder: tempfile::TempDir,
    door: Arc<Principal>,
    door_scalar: String,
    visitor: Arc<Principal>,
    visitor_scalar: String,
    /// Blessings of another principal with the visitor's name.
    other: Vec<u8>,
}

impl Parties {
    fn new() -> Self {
        let factory = named("factory");
        let (door_key, door_scalar) = key_with_scalar();
        let (visitor_key, visitor_scalar) = key_with_scalar();
        let expiry = [Condition::Expiry(Timestamp {
            seconds: 4_102_444_800,
            nanoseconds: 5,
        })];
        let bless = |key: &PrincipalKey, name: &str| {
            block_on(factory.bless(key.public_key(), name, &expiry)).unwrap()
        };
        let folder = tempfile::tempdir().unwrap();
        let roots = serde_json::json!([{
            "public_key": hex::encode(factory.key().public_key()),
            "patterns": ["factory"],
        }]);
        std::fs::write(folder.path().join("roots.json"), roots.to_string()).unwrap();
        let principal = |key: PrincipalKey, name: &str| {
            let blessings = bless(&key, name);
            Arc::new(Principal::new(key, blessings, factory.roots().clone()).unwrap())
        };
        Self {
            other: bless(&key(), "visitor"),
            door: principal(door_key, "door"),
            visitor: principal(visitor_key, "visitor"),
            folder,
            door_scalar,
            visitor_scalar,
        }
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(["-roots", "roots.json"])
            .current_dir(self.folder.path())
            .stdout(Stdio::piped());
        command
    }
}

fn misbehaviours(program: &Path, end: &str) -> Vec<(String, String)> {
    let printed = go::run(program, &["misbehaviours"]).stdout;
    let printed = String::from_utf8(printed).unwrap();
    let all = printed.lines().map(|line| {
        let one: Value = serde_json::from_str(line).unwrap();
        ["name", "verdict", "ends"].map(|name| one[name].as_str().unwrap().to_owned())
    });
    let own = all.filter(|[_, _, ends]| ends == "both" || ends == end);
    own.map(|[name, verdict, _]| (name, verdict)).collect()
}

/// Accepts one connection, and answers the first flow. Returns the names of the dialer.
async fn serve(
    listener: &TcpListener,
    principal: &Arc<Principal>,
) -> Result<Vec<String>, VanadiumError> {
    let (stream, _) = listener.accept().await?;
    let options = ChannelOptions::default();
    let mut connection = accept(stream, principal, &options).await?;
    let Received::Opened {
        flow,
        names,
        mut payload,
        ..
    } = connection.receive().await?
    else {
        panic!("data without a flow");
    };
    // The flow may be opened without data.
    if payload.is_empty()
        && let Received::Data { payload: data, .. } = connection.receive().await?
    {
        payload = data;
    }
    connection
        .send(flow, &[b"ok:", &payload[..]].concat(), true)
        .await?;
    // The dialer ends the connection, which must not be lost before it has read the answer.
    let _ = connection.receive().await;
    Ok(names)
}

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn go_dialers_are_admitted_or_refused() {
    let Some(program) = go::blessing() else {
        return;
    };
    let parties = Parties::new();
    let mut all = vec![(String::new(), "harmless".to_owned())];
    all.extend(misbehaviours(program, "dialer"));
    for (name, verdict) in all {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let key = format!("p256:{}", parties.visitor_scalar);
        let blessings = hex::encode(parties.visitor.blessings());
        let other = hex::encode(&parties.other);
        let mut arguments = vec![
            "dial",
            "-addr",
            &address,
            "-key",
            &key,
            "-blessings",
            &blessings,
        ];
        arguments.extend([
            "-expect",
            "factory:door",
            "-send",
            "hello",
            "-other",
            &other,
        ]);
        if !name.is_empty() {
            arguments.extend(["-misbehave", &name]);
        }
        let child = parties.command(program, &arguments).spawn().unwrap();
        let served = timeout(LIMIT, serve(&listener, &parties.door))
            .await
            .unwrap();
        drop(listener);
        let output = tokio::task::spawn_blocking(move || child.wait_with_output());
        let output = output.await.unwrap().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        if verdict == "harmless" {
            assert_eq!(served.unwrap(), ["factory:visitor"], "{name}: {printed}");
            assert_eq!(output.status.code(), Some(0), "{name}: {printed}");
            assert!(printed.contains("ok:hello"), "{name}: {printed}");
        } else {
            assert!(served.is_err(), "{name}: {served:?}");
            assert_ne!(output.status.code(), Some(0), "{name}: {printed}");
        }
    }
}

/// The Go program as an acceptor, which is killed when dropped.
struct Acceptor(Child);

impl Acceptor {
    fn start(parties: &Parties, program: &Path, misbehaviour: &str) -> (Self, String) {
        let key = format!("p256:{}", parties.door_scalar);
        let blessings = hex::encode(parties.door.blessings());
        let other = hex::encode(&parties.other);
        let mut arguments = vec!["accept", "-listen", "127.0.0.1:0", "-key", &key];
        arguments.extend([
            "-blessings",
            &blessings,
            "-allow",
            "factory:visitor",
            "-other",
            &other,
        ]);
        if !misbehaviour.is_empty() {
            arguments.extend(["-misbehave", misbehaviour]);
        }
        let mut child = parties.command(program, &arguments).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        child.stdout = Some(output.into_inner());
        let address = line.trim().strip_prefix("listening ").unwrap().to_owned();
        (Self(child), address)
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn call(
    address: &str,
    principal: &Arc<Principal>,
    servers: &PeerPatterns,
    setup: Setup<'static>,
) -> Result<Vec<u8>, VanadiumError> {
    let stream = TcpStream::connect(address).await?;
    let options = ChannelOptions {
        setup,
        ..ChannelOptions::default()
    };
    let mut connection = dial(stream, principal, servers, &options).await?;
    connection.open(b"hello").await?;
    let answer = connection.receive().await?;
    let Received::Data { payload, .. } = answer else {
        panic!("{answer:?}");
    };
    connection.tear_down("").await?;
    Ok(payload)
}

#[tokio::test(flavor = "multi_thread")]
async fn go_acceptors_are_trusted_or_refused() {
    let Some(program) = go::blessing() else {
        return;
    };
    let parties = Parties::new();
    let door = PeerPatterns::admit(["factory:door"]);
    let mut all = vec![(String::new(), "harmless".to_owned())];
    all.extend(misbehaviours(program, "acceptor"));
    for (name, verdict) in all {
        let (_acceptor, address) = Acceptor::start(&parties, program, &name);
        let setup = ChannelOptions::default().setup;
        let called = call(&address, &parties.visitor, &door, setup);
        let called = timeout(LIMIT, called).await.unwrap();
        if verdict == "harmless" {
            assert_eq!(called.unwrap(), b"ok:hello", "{name}");
        } else {
            assert!(called.is_err(), "{name}: {called:?}");
        }
    }
    let (_acceptor, address) = Acceptor::start(&parties, program, "");
    let window = PeerPatterns::admit(["factory:window"]);
    let setup = ChannelOptions::default().setup;
    let refused = call(&address, &parties.visitor, &window, setup).await;
    assert!(
        matches!(&refused, Err(VanadiumError::Untrusted { names, .. }) if names == &["factory:door"]),
        "{refused:?}"
    );
    let stranger = Arc::new(named("factory:visitor"));
    let door_alone = PeerPatterns::admit(["..."]);
    let refused = call(&address, &stranger, &door_alone, setup).await;
    assert!(refused.is_err(), "{refused:?}");
}

/// Blessings of either program mean the same in the other one.
#[test]
fn blessings_mean_the_same_to_the_go_program() {
    let Some(program) = go::blessing() else {
        return;
    };
    let parties = Parties::new();
    let shown = |vom: &[u8]| -> Value {
        let lines = go::run_with(program, &["show"], &hex::encode(vom));
        serde_json::from_str(&lines.concat()).unwrap()
    };
    for principal in [&parties.door, &parties.visitor] {
        let shown = shown(principal.blessings());
        assert_eq!(shown["error"], Value::Null);
        let encoded = EncodedBlessings::parse(principal.blessings()).unwrap();
        let verified = encoded.blessings().verify(&ALGORITHMS).unwrap();
        assert_eq!(shown["unique_id"], hex::encode(verified.unique_id()));
        let names = verified.claimed_names().unwrap();
        let names: Vec<_> = names.iter().collect();
        assert_eq!(shown["names"], serde_json::json!(names));
    }
    let spec = serde_json::json!({
        "keys": {
            "a": {"kind": "p256", "private": parties.door_scalar},
            "b": {"kind": "ed25519", "private": "42".repeat(32)},
            "c": {"kind": "p384", "private": format!("{}{}", "00".repeat(16), parties.visitor_scalar)},
        },
        "chains": [[
            {"extension": "a", "key": "a"},
            {"extension": "b:x", "key": "b", "caveats": [
                {"kind": "expiry", "unix": 4_102_444_800_u64, "nanos": 7},
                {"kind": "method", "methods": ["GET", "PUT"]},
                {"kind": "peers", "patterns": ["a:$", "b"]},
            ]},
            {"extension": "c", "key": "c", "caveats": [{"kind": "const", "value": true}]},
        ]],
    });
    let made = go::run_with(program, &["make"], &spec.to_string());
    let made: Value = serde_json::from_str(&made.concat()).unwrap();
    let vom = hex::decode(made["vom"].as_str().unwrap()).unwrap();
    let encoded = EncodedBlessings::parse(&vom).unwrap();
    let verified = encoded.blessings().verify(&ALGORITHMS).unwrap();
    assert_eq!(made["unique_id"], hex::encode(verified.unique_id()));
    let names = verified.claimed_names().unwrap();
    assert_eq!(names.iter().collect::<Vec<_>>(), ["a:b:x:c"]);
    let mut out = vec![0; vom.len()];
    assert_eq!(encoded.blessings().encode(&mut out).unwrap(), vom);
}
