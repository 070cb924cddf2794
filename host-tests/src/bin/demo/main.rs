//! The demo: a gateway admits a device with a TPM, and refuses a thief who presents the device's proof on another connection.
#![allow(clippy::print_stdout, reason = "the output is for people")]
#![allow(
    clippy::arithmetic_side_effects,
    reason = "a panic of this program harms no user"
)]

mod blessing;
mod certificate;
mod firmware;
mod password;
mod spi;

use axum::http::{HeaderValue, Request};
use chanbind::{
    client::{ConnectOptions, Connection, RequestBody},
    proof::{fingerprint, otp::Settings},
    protocol::{
        otp::{ClientId, KeyDerivation, Profile, Purpose, api_key},
        proof::KeyRequest,
    },
    tls,
    tpm::{KeyFile, OpenOptions, Tpm},
};
use chanbind_host_tests::{board::Kind, client::TestClient, pki::Pki, program, swtpm::Swtpm};
use std::{
    error::Error,
    fmt::Display,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitCode, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const CLIENT: &str = "client1";

#[tokio::main]
async fn main() -> ExitCode {
    match scenario().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn scenario() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let device = arguments.first().map_or("host", String::as_str);
    let folder = tempfile::Builder::new()
        .prefix("chanbind-demo-")
        .tempdir()?;
    match arguments.get(1).map(String::as_str) {
        Some("authenticator") => return certificate::scenario(device, folder.path()).await,
        Some("mutual") => return password::scenario(device, folder.path()).await,
        Some("blessing") => return blessing::scenario(device, folder.path()).await,
        _ => {}
    }
    println!("\nchanbind: a one-time password for one TLS connection");
    println!(
        "secrets are shown as fingerprints, the first 8 hexadecimal digits of their SHA-256\n"
    );

    let swtpm = start_swtpm()?;
    let pin = provision(folder.path(), &swtpm)?;
    let gateway = Gateway::start(folder.path(), &["otp", "--registry", "registry.toml"])?;
    let file = KeyFile::from_pem(&std::fs::read_to_string(folder.path().join("client1.pem"))?)?;
    match (Kind::of_name(device), device) {
        (Some(kind), _) => {
            let accepted = ["one-time key derived", "proof accepted"];
            firmware::run(kind, "", folder.path(), &swtpm, &gateway, &accepted)?;
        }
        (None, "spi") => spi::scenario(&swtpm, &file, &pin, &gateway).await?,
        (None, _) => {
            let tpm = open_tpm(&swtpm, &pin).await?;
            let key = tpm.load(file, None).await?;
            print_step(
                "device",
                "loaded its key into the TPM; the parent key has the pinned name",
            );
            let hmac = async |input: &[u8]| Ok(key.hmac(input).await?.to_vec());
            admit_device_and_refuse_thief(&gateway, hmac).await?;
            tpm.close().await;
        }
    }
    drop((gateway, swtpm, folder));
    Ok(())
}

fn start_swtpm() -> Outcome<Swtpm> {
    let swtpm = Swtpm::start()?;
    print_step(
        "tpm",
        format_args!(
            "swtpm runs on 127.0.0.1:{} with its state in a temporary folder",
            swtpm.port()
        ),
    );
    Ok(swtpm)
}

/// Opens the device's TPM and verifies that its parent key has the name `pin`.
async fn open_tpm(swtpm: &Swtpm, pin: &str) -> Outcome<Tpm> {
    let mut options = OpenOptions::default();
    options.parent_name = Some(pin.parse()?);
    Ok(Tpm::open(&swtpm.tcti(), options).await?)
}

/// Shows that the gateway admits the device by a one-time password derived with the key of `hmac`, and refuses a thief who presents the same
/// password on another connection. Returns the keying material and the one-time key.
async fn admit_device_and_refuse_thief(
    gateway: &Gateway,
    mut hmac: impl AsyncFnMut(&[u8]) -> Outcome<Vec<u8>>,
) -> Outcome<[Vec<u8>; 2]> {
    let mut first = gateway.connect("device", "A").await?;
    let (settings, client) = (Settings::default(), ClientId::new(CLIENT)?);
    let profile = Profile::default();
    let mut derivation = KeyDerivation::new(&profile, Purpose::ApiKey, client, first.channel())?;
    let material = *derivation.keying_material().as_bytes();
    print_step(
        "device",
        format_args!(
            "exported keying material from A: ekm={}",
            fingerprint(&material)
        ),
    );
    let one_time = loop {
        let KeyRequest::Hmac(input) = derivation.request() else {
            return Err("a one-time password needs an HMAC".into());
        };
        let mac = hmac(&input.parts().concat()).await?;
        if let Some(key) = derivation.answered(&mac)? {
            break key;
        }
    };
    print_step(
        "tpm",
        format_args!(
            "TPM2_HMAC over the keying material, in a salted session with encrypted parameters: key={}",
            fingerprint(one_time.as_bytes())
        ),
    );
    let secrets = [material.to_vec(), one_time.as_bytes().to_vec()];

    let mut password = [0; api_key::ENCODED_LEN];
    let password = HeaderValue::from_str(api_key::encode(&one_time, &mut password))?;
    let request = || -> Outcome<Request<RequestBody>> {
        let mut request = Connection::get(&gateway.url().parse()?)?;
        request.headers_mut().insert(
            settings.client_header.clone(),
            HeaderValue::from_static(CLIENT),
        );
        request
            .headers_mut()
            .insert(settings.key_header.clone(), password.clone());
        Ok(request)
    };
    print_request("device", "A", &settings);
    let admitted = first.send(request()?).await?;
    gateway.log(&["one-time key derived", "proof accepted"])?;
    print_response("device", "A", &admitted);

    println!();
    let mut second = gateway.connect("thief", "B").await?;
    let material = profile.keying_material(second.channel(), Purpose::ApiKey, client)?;
    print_step(
        "thief",
        format_args!(
            "has the device's request from A; the keying material of B is ekm={}",
            fingerprint(material.as_bytes())
        ),
    );
    print_request("thief", "B", &settings);
    let refused = second.send(request()?).await?;
    gateway.log(&["one-time key derived", "request refused"])?;
    print_response("thief", "B", &refused);

    println!();
    print_request("device", "A", &settings);
    let again = first.send(request()?).await?;
    gateway.log(&["proof accepted"])?;
    print_response("device", "A", &again);
    let statuses =
        [admitted.status(), refused.status(), again.status()].map(|status| status.as_u16());
    if statuses != [200, 401, 200] {
        return Err(
            format!("the gateway's responses are {statuses:?} instead of 200, 401, 200").into(),
        );
    }
    println!(
        "\nThe gateway accepted the same password on connection A and refused it on connection B.\n"
    );
    Ok(secrets)
}

/// Creates the device's key and the gateway's registry with the command `chanbind provision`. Returns the name of the TPM's parent key.
fn provision(folder: &Path, swtpm: &Swtpm) -> Outcome<String> {
    let arguments = [
        "provision",
        "otp",
        "--client-id",
        CLIENT,
        "--out",
        "client1.pem",
        "--device-config",
        "device-key.toml",
    ];
    print_step(
        "operator",
        format_args!("$ chanbind {} > registry.toml", arguments.join(" ")),
    );
    let (registry, pin) = run_provision(folder, swtpm, &arguments)?;
    std::fs::write(folder.join("registry.toml"), registry)?;
    print_step(
        "operator",
        "a random HMAC key is wrapped for this TPM in client1.pem, and is in the gateway's registry",
    );
    Ok(pin)
}

/// Runs the command `chanbind provision`. Returns its standard output and the name of the TPM's parent key, which is empty if no key was
/// created.
fn run_provision(folder: &Path, swtpm: &Swtpm, arguments: &[&str]) -> Outcome<(Vec<u8>, String)> {
    let output = Command::new(program::path("chanbind"))
        .args(arguments)
        .env("CHANBIND_TCTI", swtpm.tcti())
        .current_dir(folder)
        .output()?;
    let messages = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(messages.into_owned().into());
    }
    let pin = messages
        .split("--parent-name ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    Ok((output.stdout, pin.unwrap_or_default().to_owned()))
}

/// The command `chanbind gateway` in a process of its own, which is killed on drop.
struct Gateway {
    child: Child,
    log: Receiver<String>,
    port: u16,
    ca: String,
}

impl Gateway {
    /// Starts a gateway with a new certificate. `client_arguments` are the arguments that say which clients it admits.
    fn start(folder: &Path, client_arguments: &[&str]) -> Outcome<Self> {
        let pki = Pki::new()?;
        std::fs::write(folder.join("chain.pem"), &pki.certificate)?;
        std::fs::write(folder.join("key.pem"), &pki.key)?;
        let rest = [
            "--cert",
            "chain.pem",
            "--key",
            "key.pem",
            "--listen",
            "127.0.0.1:0",
            // An emulated processor takes many times as long as a real one.
            "--handshake-seconds",
            "120",
        ];
        let arguments = [&["gateway"], client_arguments, &rest].concat();
        print_step(
            "operator",
            format_args!("$ chanbind {}", arguments.join(" ")),
        );
        let mut child = Command::new(program::path("chanbind"))
            .args(&arguments)
            .env("RUST_LOG", "chanbind=debug")
            .env("NO_COLOR", "1")
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (out, err) = (
            child
                .stdout
                .take()
                .ok_or("the gateway has no standard output")?,
            child
                .stderr
                .take()
                .ok_or("the gateway has no standard error")?,
        );
        let (sender, log) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut gateway = Self {
            child,
            log,
            port: 0,
            ca: pki.ca,
        };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let port = line
            .strip_prefix("listening on 127.0.0.1:")
            .and_then(|rest| rest.split(' ').next());
        gateway.port = port
            .ok_or_else(|| format!("the gateway printed {line:?} instead of its address"))?
            .parse()?;
        print_step("gateway", line.trim_end());
        Ok(gateway)
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/get", self.port)
    }

    /// Opens the connection `name` as `actor`.
    async fn connect(&self, actor: &str, name: &str) -> Outcome<TestClient> {
        let config = tls::client_config(tls::roots_from_pem(self.ca.as_bytes())?)?;
        let connection =
            Connection::open("localhost", self.port, config, &ConnectOptions::default()).await?;
        print_step(
            actor,
            format_args!(
                "opened TLS connection {name} to the gateway: {}",
                connection.negotiated()
            ),
        );
        Ok(TestClient::new(connection))
    }

    /// Waits for lines of the gateway's log that contain the texts of `expected`, in this order, and prints them from the text on.
    fn log(&self, expected: &[&str]) -> Outcome<()> {
        for text in expected {
            loop {
                let line = self
                    .log
                    .recv_timeout(Duration::from_secs(20))
                    .map_err(|_| format!("the gateway's log has no line with {text:?}"))?;
                if let Some(at) = line.find(text) {
                    print_step("gateway", line.get(at..).unwrap_or_default());
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn print_request(actor: &str, connection: &str, settings: &Settings) {
    print_step(
        actor,
        format_args!(
            "-> gateway on {connection}: GET /get, {}: {CLIENT}, {}: (the one-time key in base64)",
            settings.client_header, settings.key_header
        ),
    );
}

fn print_response(to: &str, connection: &str, response: &axum::http::Response<impl AsRef<[u8]>>) {
    let body = String::from_utf8_lossy(response.body().as_ref());
    print_step(
        "gateway",
        format_args!(
            "-> {to} on {connection}: {}, {:?}",
            response.status(),
            body.trim_end()
        ),
    );
}

/// Prints a line of the demo: the actor and the text.
fn print_step(actor: &str, text: impl Display) {
    println!("{actor:>9} | {text}");
}

/// Prints what a command has written. Its exit code must be `code`.
fn print_output(actor: &str, output: &Output, code: i32) -> Outcome<()> {
    for written in [&output.stdout, &output.stderr] {
        for line in String::from_utf8_lossy(written).lines() {
            print_step(actor, line);
        }
    }
    if output.status.code() == Some(code) {
        Ok(())
    } else {
        Err(format!("the command ended with {} instead of {code}", output.status).into())
    }
}
