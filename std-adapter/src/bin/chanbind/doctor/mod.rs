//! The command `doctor`, which finds out why two ends do not agree.

mod candidates;
mod certificate;
mod findings;

use crate::{
    connect::CommandError,
    failure::Failure,
    gateway::DIAGNOSTICS_PATH,
    shared::SettingsArguments,
    target::TargetArguments,
    tpm::{Password, TpmArguments, key_file},
};
use axum::http::{StatusCode, Uri, uri::PathAndQuery};
use candidates::Candidates;
use certificate::Recorder;
use chanbind::{
    client::{ClientError, Connection, Session},
    gateway::Diagnosis,
    proof::otp::{self, Form, Settings},
    protocol::{otp::ClientId, proof::Outcome},
    tls::crypto_provider,
};
use clap::Args;
use findings::Findings;
use rustls::{
    ClientConfig, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Find out why a device and a gateway do not agree.
///
/// Connects as a device does, and says what it finds: who is at the other end, which version of TLS both speak, whether both export the same
/// keying material, whether their clocks agree, and with --key whether the gateway accepts the key. The gateway has to have the section
/// [diagnostics] for most of it; without it, --peer-fingerprint compares with what the gateway has printed.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  chanbind doctor https://gateway.example:8443 --ca ca.pem --client-id client1\n  chanbind doctor https://gateway.example:8443 --ca ca.pem --key client1.pem\n\nExit codes: 0 nothing is wrong, 1 something is, 2 wrong usage, 5 network."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: TargetArguments,

    /// A fingerprint that the other end has printed: of its certificate (64 digits, `chanbind inspect`), or of the keying material of this
    /// connection (8 digits); `-` reads it from standard input once the connection is there and the gateway has logged it.
    #[arg(long, value_name = "HEX")]
    peer_fingerprint: Option<String>,

    /// The path of the gateway's diagnosis.
    #[arg(long, value_name = "PATH", default_value = DIAGNOSTICS_PATH)]
    diagnostics_path: PathAndQuery,

    /// The name by which the gateway knows the device, if it is not the one in the key file.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// The device's key file, to see whether the gateway accepts it.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// A file with the password of the key, if it has one.
    #[arg(long, value_name = "FILE", requires = "key")]
    password_file: Option<PathBuf>,

    #[command(flatten)]
    settings: SettingsArguments,

    #[command(flatten)]
    tpm: TpmArguments,
}

/// The difference of clocks, in seconds, from which tokens may be refused.
const CLOCKS: u64 = 30;

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    if arguments.target.url.scheme_str() != Some("https") {
        return Err(ClientError::Uri(arguments.target.url.to_string()).into());
    }
    let peer = arguments
        .peer_fingerprint
        .as_deref()
        .map(PeerFingerprint::parse);
    let peer = peer.transpose().map_err(CommandError::usage)?;
    let client = arguments.client()?;
    let mut findings = Findings::default();
    let recorder = Recorder::new(arguments.target.roots()?)?;
    let Some(mut connection) = arguments.connect(&recorder, &mut findings).await? else {
        return Ok(findings.report());
    };
    findings.good(&format!("the connection: {}", connection.negotiated()));
    let is_trusted = recorder.report(&mut findings);
    if let Some(PeerFingerprint::Certificate(printed)) = &peer {
        recorder.compare(printed, "the one that was printed", &mut findings);
    }
    let mut diagnosis = None;
    if is_trusted {
        diagnosis = arguments
            .ask(&mut connection, client.as_deref(), &mut findings)
            .await?;
    }
    let settings = arguments.settings.settings();
    if let Some(diagnosis) = &diagnosis {
        compare(diagnosis, &recorder, &mut findings);
    }
    if let Some(id) = &client {
        let id = client_id(id)?;
        let candidates = Candidates::of(&settings.profile, id, connection.channel());
        let exports = diagnosis.iter().flat_map(|diagnosis| &diagnosis.exports);
        for export in exports.filter(|export| export.proof == otp::KIND) {
            candidates.report(Some(&export.name), &export.fingerprint, &mut findings);
        }
        let printed = match peer {
            Some(PeerFingerprint::Keying(printed)) => Some(printed),
            Some(PeerFingerprint::Input) => Some(
                arguments
                    .ask_operator(&mut connection, &settings, id)
                    .await?,
            ),
            _ => None,
        };
        if let Some(printed) = printed {
            candidates.report(None, &printed, &mut findings);
        }
    } else {
        findings.note("give --client-id or --key to compare what both ends export");
    }
    if let Some(path) = &arguments.key {
        if findings.are_good() {
            arguments
                .prove(
                    path,
                    client.as_deref().unwrap_or_default(),
                    connection,
                    &mut findings,
                )
                .await?;
        } else {
            findings.note("the key was not tried: mend the above first");
        }
    }
    Ok(findings.report())
}

/// Compares what the gateway sees of the connection.
fn compare(diagnosis: &Diagnosis, recorder: &Recorder, findings: &mut Findings) {
    if let Some(certificate) = &diagnosis.certificate {
        recorder.compare(certificate, "the gateway's own", findings);
    }
    if diagnosis.tls == "1.3" {
        findings.good("the gateway sees TLS 1.3 too");
    } else {
        findings.bad(
            &format!(
                "the gateway sees TLS {} where this end has 1.3",
                diagnosis.tls
            ),
            "a program between both ends both connections: let it pass TLS through",
        );
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let apart = now
        .map_or(0, |now| now.as_secs())
        .abs_diff(diagnosis.unix_time);
    if apart <= CLOCKS {
        findings.good(&format!("the clocks are {apart} s apart"));
    } else {
        findings.bad(
            &format!("the clocks are {apart} s apart"),
            "tokens with a time are refused: set the clocks by NTP; API keys do not depend on the time",
        );
    }
}

fn client_id(text: &str) -> Result<ClientId<'_>, CommandError> {
    ClientId::new(text).map_err(|error| CommandError::usage(format!("--client-id: {error}")))
}

/// A fingerprint that the other end has printed.
enum PeerFingerprint {
    Certificate(String),
    Keying(String),
    Input,
}

impl PeerFingerprint {
    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.replace(':', "").to_ascii_lowercase();
        let are_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match digits.len() {
            64 if are_hex => Ok(Self::Certificate(digits)),
            8 if are_hex => Ok(Self::Keying(digits)),
            _ if text == "-" => Ok(Self::Input),
            _ => Err(format!(
                "--peer-fingerprint {text:?}: write 64 hexadecimal digits for a certificate, 8 for keying material, or -"
            )),
        }
    }
}

impl Arguments {
    /// Returns the client id, of the option or of the key file.
    fn client(&self) -> Result<Option<String>, Failure> {
        match (&self.client_id, &self.key) {
            (Some(id), _) => Ok(Some(id.clone())),
            (None, Some(path)) => Ok(key_file(path)?.description),
            (None, None) => Ok(None),
        }
    }

    /// Connects; `None` if that shows what is wrong.
    async fn connect(
        &self,
        recorder: &Arc<Recorder>,
        findings: &mut Findings,
    ) -> Result<Option<Connection>, Failure> {
        let with =
            |versions: &[&'static SupportedProtocolVersion]| -> Result<ClientConfig, Failure> {
                let builder = ClientConfig::builder_with_provider(crypto_provider());
                let builder = builder.with_protocol_versions(versions)?.dangerous();
                let recorder: Arc<Recorder> = Arc::clone(recorder);
                Ok(builder
                    .with_custom_certificate_verifier(recorder)
                    .with_no_client_auth())
            };
        let (host, port, options) = (
            self.target.host(),
            self.target.port(),
            self.target.options(),
        );
        let error = match Connection::open(&host, port, with(&[&TLS13])?, &options).await {
            Ok(connection) => return Ok(Some(connection)),
            Err(error @ ClientError::Tls { .. }) => error,
            Err(error) => return Err(error.into()),
        };
        match Connection::open(&host, port, with(&[&TLS12])?, &options).await {
            Ok(connection) => {
                recorder.report(findings);
                findings.bad(
                    &format!("the other end refuses TLS 1.3 ({error}) and speaks TLS 1.2: {}", connection.negotiated()),
                    "gateways of chanbind speak TLS 1.3: something else is at this address, or ends TLS on the way. TLS 1.2 exports other values, and unique ones only with the extended master secret (RFC 7627)",
                );
                Ok(None)
            }
            Err(_) => Err(error.into()),
        }
    }

    /// Asks the gateway for its diagnosis on this connection.
    async fn ask(
        &self,
        connection: &mut Connection,
        client: Option<&str>,
        findings: &mut Findings,
    ) -> Result<Option<Diagnosis>, Failure> {
        let mut parts = self.target.url.clone().into_parts();
        let question = client
            .map(|client| format!("?client={client}"))
            .unwrap_or_default();
        parts.path_and_query = Some(format!("{}{question}", self.diagnostics_path.path()).parse()?);
        let request = Connection::get(&Uri::from_parts(parts)?)?;
        let response = connection.send(request).await?;
        let status = response.status();
        let content = response.into_body().bytes(MAX_DIAGNOSIS).await?;
        let diagnosis = serde_json::from_slice(&content).ok();
        if status != StatusCode::OK || diagnosis.is_none() {
            findings.note(&format!(
                "the gateway gives no diagnosis at {} ({status}): add the section [diagnostics] to its configuration while you look for the fault",
                self.diagnostics_path
            ));
            return Ok(None);
        }
        Ok(diagnosis)
    }

    /// Sends a password that is not valid, so that the gateway logs what it derives, and reads what the operator found in the log.
    async fn ask_operator(
        &self,
        connection: &mut Connection,
        settings: &Settings,
        client: ClientId<'_>,
    ) -> Result<String, Failure> {
        let mut request = Connection::get(&self.target.url)?;
        let headers = request.headers_mut();
        headers.insert(settings.client_header.clone(), client.as_str().parse()?);
        headers.insert(
            settings.key_header.clone(),
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".parse()?,
        );
        let response = connection.send(request).await?;
        response.into_body().bytes(MAX_DIAGNOSIS).await?;
        eprintln!(
            "enter the 8 digits after ekm= that the gateway has logged now (RUST_LOG=chanbind=debug):"
        );
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        Ok(line.trim().to_ascii_lowercase())
    }

    /// Proves the key on this connection.
    async fn prove(
        &self,
        path: &std::path::Path,
        client: &str,
        connection: Connection,
        findings: &mut Findings,
    ) -> Result<(), Failure> {
        let id = client_id(client)?;
        let password = Password::read(self.password_file.as_deref())?;
        let tpm = self.tpm.open().await?;
        let done = async {
            let key = tpm.load(key_file(path)?, password.auth()?).await?;
            let prover = otp::prover(&self.settings.settings(), id, Form::ApiKey);
            let mut session = Session::begin(connection, prover, key).await?;
            let answer = session.send(Connection::get(&self.target.url)?).await?;
            Ok::<_, Failure>((answer.outcome, answer.response.status()))
        }
        .await;
        tpm.close().await;
        let (outcome, status) = done?;
        match outcome {
            Outcome::Proved => findings.good(&format!("the key is accepted ({status})")),
            Outcome::NotAsked => findings.note(&format!("the path of the address needs no proof ({status}): name one that does")),
            Outcome::Refused => findings.bad(
                &format!("the key is refused ({status})"),
                "both ends agree in all else that was compared: the registry has another key for this client, does not know it, or has it disabled",
            ),
        }
        Ok(())
    }
}

/// The longest diagnosis that is read, in bytes.
const MAX_DIAGNOSIS: usize = 64 * 1024;
