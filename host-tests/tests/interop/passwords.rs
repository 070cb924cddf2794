//! Tests of one-time passwords: the Rust client with the Go server, the Go client with the Rust gateway, and byte-for-byte
//! comparisons.

use chanbind::{
    client::{ConnectOptions, Connection},
    gateway::{ClientKey, ClientTable, MemoryRegistry},
    proof::{
        KeyHolder,
        otp::{Form, Settings},
    },
    protocol::{
        kdf::HmacSha256,
        otp::{Claims, Header, OneTimeKey, Policy, jws, nested, scratch_len},
    },
    tls,
    tpm::{KeyFile, KeyOptions, OpenOptions, Tpm},
};
use chanbind_host_tests::{
    client::{TestClient, one_time_password},
    gateway::TestGateway,
    go,
    pki::Pki,
    swtpm::Swtpm,
};
use std::path::Path;

const SECRET: &[u8] = b"my_api_key";
const FORMS: [Form; 3] = [Form::ApiKey, Form::Jws, Form::Nested];

fn settings(form: Form) -> Settings {
    match form {
        Form::ApiKey => Settings::go_demo_api_key(),
        _ => Settings::go_demo_jwt("client1"),
    }
}

/// Sends a request of the Rust client to the Go server. Returns the status and the body of the response.
async fn request_from_go_server(
    port: u16,
    pki: &Pki,
    form: Form,
    key: &dyn KeyHolder,
) -> (u16, String) {
    let config = tls::client_config(tls::roots_from_pem(pki.ca.as_bytes()).unwrap()).unwrap();
    let options = ConnectOptions::default();
    let connection = Connection::open("localhost", port, config, &options).await;
    let mut connection = TestClient::new(connection.unwrap());
    let uri = format!("https://localhost:{port}/get");
    let mut request = Connection::get(&uri.parse().unwrap()).unwrap();
    one_time_password(
        &settings(form),
        "client1",
        form,
        &connection,
        key,
        &mut request,
    )
    .await
    .unwrap();
    let response = connection.send(request).await.unwrap();
    (
        response.status().as_u16(),
        String::from_utf8(response.body().to_vec()).unwrap(),
    )
}

fn go_server(program: &Path, pki: &Pki) -> (go::Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path.display().to_string()
    };
    let (cert, key) = (file("c.pem", &pki.certificate), file("k.pem", &pki.key));
    (
        go::Server::start(
            program,
            "server",
            &["-cert", &cert, "-key", &key, "-secret", "my_api_key"],
        ),
        folder,
    )
}

#[tokio::test]
async fn rust_client_authenticates_to_go_server() {
    let Some(program) = go::program() else { return };
    let pki = Pki::new().unwrap();
    let (server, _folder) = go_server(program, &pki);
    for form in FORMS {
        let admitted =
            request_from_go_server(server.port, &pki, form, &HmacSha256::new(SECRET)).await;
        assert_eq!(admitted, (200, "ok".to_owned()), "{form}");
        assert_eq!(
            request_from_go_server(server.port, &pki, form, &HmacSha256::new(b"wrong"))
                .await
                .0,
            401,
            "{form}"
        );
    }
}

/// Uses the key file and the TPM state published with the Go demo.
#[tokio::test]
async fn published_demo_key_authenticates_to_go_server() {
    let Some(program) = go::program() else { return };
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/go-demo");
    let swtpm = Swtpm::start_from(&vectors.join("tpm2-00.permall")).unwrap();
    let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default())
        .await
        .unwrap();
    let pem = std::fs::read_to_string(vectors.join("tpm-key.pem")).unwrap();
    let key = tpm
        .load(KeyFile::from_pem(&pem).unwrap(), None)
        .await
        .unwrap();
    let pki = Pki::new().unwrap();
    let (server, _folder) = go_server(program, &pki);
    for form in FORMS {
        assert_eq!(
            request_from_go_server(server.port, &pki, form, &key).await,
            (200, "ok".to_owned()),
            "{form}"
        );
    }
}

async fn go_client(
    program: &'static Path,
    gateway: &TestGateway,
    form: Form,
    more: &[&str],
) -> String {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &gateway.pki.ca).unwrap();
    let arguments: Vec<String> = [
        "client",
        "-url",
        &gateway.uri("/get"),
        "-ca",
        ca.to_str().unwrap(),
        "-form",
        form.name(),
    ]
    .iter()
    .chain(more)
    .map(|argument| (*argument).to_owned())
    .collect();
    tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = go::run(program, &arguments);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn go_client_authenticates_to_rust_gateway() {
    let Some(program) = go::program() else { return };
    for form in FORMS {
        let registry = MemoryRegistry::new(
            ClientTable::new([("client1".to_owned(), ClientKey::secret(SECRET))]).unwrap(),
        );
        let gateway = TestGateway::start(registry, settings(form)).await.unwrap();
        assert_eq!(
            go_client(program, &gateway, form, &["-secret", "my_api_key"]).await,
            format!("200 ok client1 {form}")
        );
        assert!(
            go_client(program, &gateway, form, &["-secret", "wrong"])
                .await
                .starts_with("401")
        );
        if form == Form::ApiKey {
            let unknown = &["-secret", "my_api_key", "-client", "unknown"];
            assert!(
                go_client(program, &gateway, form, unknown)
                    .await
                    .starts_with("401")
            );
        }
    }
}

/// go-tpm loads a key file written by the Rust code, and derives the same one-time key with it.
#[tokio::test]
async fn go_client_uses_a_rust_key_file_with_go_tpm() {
    let Some(program) = go::program() else { return };
    let swtpm = Swtpm::start().unwrap();
    let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default())
        .await
        .unwrap();
    let mut options = KeyOptions::default();
    options.description = Some("client1".to_owned());
    let file = tpm.import_hmac_key(SECRET, options).await.unwrap();
    tpm.close().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem").display().to_string();
    std::fs::write(&path, file.to_pem().unwrap()).unwrap();
    let address = format!("127.0.0.1:{}", swtpm.port());
    for form in FORMS {
        let registry = MemoryRegistry::new(
            ClientTable::new([("client1".to_owned(), ClientKey::secret(SECRET))]).unwrap(),
        );
        let gateway = TestGateway::start(registry, settings(form)).await.unwrap();
        let answer = go_client(program, &gateway, form, &["-tpm", &address, "-key", &path]).await;
        assert_eq!(answer, format!("200 ok client1 {form}"));
    }
    assert_eq!(swtpm.orphans(), [""; 0]);
}

#[test]
fn tokens_equal_those_of_go_jose() {
    let Some(program) = go::program() else { return };
    let (signing, encryption) = (
        OneTimeKey::from_bytes([0x11; 32]),
        OneTimeKey::from_bytes([0x22; 32]),
    );
    let keys = nested::NestedKeys {
        signing: &signing,
        encryption: &encryption,
    };
    let hex = [signing.as_bytes(), encryption.as_bytes()].map(hex::encode);
    let flags = ["token", "-signing-key", &hex[0], "-encryption-key", &hex[1]];
    let output = go::run(program, &flags);
    let printed = String::from_utf8(output.stdout).unwrap();
    let (go_jws, go_nested) = printed.trim().split_once('\n').unwrap();

    let claims = Claims {
        issuer: Some("issuer"),
        subject: Some("subject"),
        ..Claims::default()
    };
    let (mut payload, mut out) = ([0; 64], [0; 512]);
    let payload = claims.encode(&mut payload).unwrap();
    assert_eq!(
        jws::sign(&signing, &Header::default(), payload, &mut out),
        Ok(go_jws)
    );

    // go-jose chooses the nonce; with the same nonce, the tokens are equal.
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let nonce = BASE64_URL_SAFE_NO_PAD
        .decode(go_nested.split('.').nth(2).unwrap())
        .unwrap();
    let headers = (
        &Header::default(),
        &Header {
            key_id: Some("client_1"),
            typ: true,
        },
    );
    let mut scratch = [0; 256];
    let ours = nested::seal(
        &keys,
        nonce.as_slice().try_into().unwrap(),
        headers,
        payload,
        &mut scratch,
        &mut out,
    )
    .unwrap();
    assert_eq!(ours, go_nested);
    let mut scratch = vec![0; scratch_len(ours.len())];
    assert!(nested::open(&keys, go_nested, &Policy::default(), &mut scratch).is_ok());

    for token in [go_jws, ours] {
        let output = go::run(program, &[&flags[..], &["-verify", token]].concat());
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "issuer subject\n"
        );
        let mut changed = token.to_owned();
        changed.truncate(token.len() - 2);
        assert!(
            !go::run(program, &[&flags[..], &["-verify", &changed]].concat())
                .status
                .success()
        );
    }
}
