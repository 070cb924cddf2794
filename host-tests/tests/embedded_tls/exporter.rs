//! Tests that both ends export the same keying material, even if many handshakes are interleaved. They fail if embedded-tls changes
//! the key schedule from which the exporter secret is captured.

use super::*;
use chanbind::tls::{RustlsExporter, crypto_provider};
use chanbind_core::{
    exporter::Exporter,
    kdf::HmacSha256,
    otp::{ClientId, OneTimeKey, Profile, Purpose},
};
use chanbind_embedded_tls::{Aes256GcmSha384, ClientCertificate, connect};
use chanbind_host_tests::{openssl::OpenSsl, pki::pem, port};
use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{Read, Write};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use std::net::TcpStream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

const LABEL: &[u8] = b"EXPORTER-my_label";

fn ekm(channel: &impl Exporter, context: &[u8]) -> [u8; 40] {
    let mut out = [0; 40];
    channel
        .export_keying_material(LABEL, Some(context), &mut out)
        .unwrap();
    out
}

fn server(fixture: &Fixture, client_certificates: bool) -> TlsAcceptor {
    let builder = ServerConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap();
    let builder = if client_certificates {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(
                fixture.authority.certificate().to_vec(),
            ))
            .unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), crypto_provider());
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from(fixture.server.certificate.clone())];
    let key = PrivateKeyDer::from_pem_slice(fixture.server.key_pem().as_bytes()).unwrap();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
}

/// Opens a connection on which both ends export keying material and exchange data. Returns the keying material.
async fn connection<S: chanbind_embedded_tls::Suite>(
    config: &Config<'_>,
    acceptor: &TlsAcceptor,
    number: usize,
) -> [u8; 40] {
    // Large enough for the tickets of a server whose client does not read yet.
    let (ours, theirs) = duplex(4096);
    let (mut read, mut write) = (vec![0; Buffers::MAX_RECORD], vec![0; 2048]);
    let buffers = Buffers {
        read: &mut read,
        write: &mut write,
    };
    let context = format!("client {number}");
    let at_server = async {
        let mut stream = acceptor.accept(theirs).await.unwrap();
        let exported = ekm(&RustlsExporter::new(stream.get_ref().1), context.as_bytes());
        let mut echoed = vec![0; 2000];
        stream.read_exact(&mut echoed).await.unwrap();
        stream.write_all(&echoed).await.unwrap();
        stream.shutdown().await.unwrap();
        exported
    };
    let at_client = async {
        let mut connection = connect::<S, _, _>(FromTokio::new(ours), config, OsRng, buffers)
            .await
            .unwrap();
        let sent: Vec<u8> = (0..2000)
            .map(|at| u8::try_from((at * 7 + number) % 251).unwrap())
            .collect();
        connection.write_all(&sent).await.unwrap();
        connection.flush().await.unwrap();
        let (mut received, mut chunk) = (Vec::<u8>::new(), [0; 300]);
        loop {
            match connection.read(&mut chunk).await.unwrap() {
                0 => break,
                len => received.extend(&chunk[..len]),
            }
        }
        assert_eq!(received, sent);
        ekm(&connection, context.as_bytes())
    };
    let (client, server) = tokio::join!(at_client, at_server);
    assert_eq!(client, server, "connection {number}");
    client
}

type Small = Aes128GcmSha256<ManySlots>;
type Large = Aes256GcmSha384<ManySlots>;

/// 360 connections, 40 at a time on each of three threads, with both suites, with and without client certificates; further ones
/// are cancelled during the handshake.
#[test]
fn interleaved_connections_export_the_same_at_both_ends() {
    chanbind_embedded_tls::handshake_slots!(Slots, 256);
    let fixture = Fixture::new();
    let client = fixture.authority.issue(|params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let client = client.unwrap();
    let key: [u8; 32] = client.key.to_bytes().into();
    let certificate = [fixture.authority.certificate()];
    let anchors = Anchors::new(&certificate).unwrap();
    let config = Config::with_authority("localhost", &anchors, now())
        .with_client_certificate(ClientCertificate::new(&client.certificate, &key).unwrap());
    let acceptors = [server(&fixture, false), server(&fixture, true)];
    let all = std::sync::Mutex::new(std::collections::HashSet::new());
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (config, acceptors, all) = (&config, &acceptors, &all);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                for round in 0..3 {
                    let connections = (0..40).map(|at| async move {
                        let number = thread * 1000 + round * 100 + at;
                        let acceptor = &acceptors[at % 2];
                        if at % 5 == 4 {
                            // Cancelled before completion.
                            let cancelled =
                                connection::<Aes128GcmSha256<Slots>>(config, acceptor, number);
                            let cancel_after =
                                Duration::from_micros(u64::try_from(at).unwrap() * 700);
                            let _ = timeout(cancel_after, cancelled).await;
                        }
                        if at % 3 == 0 {
                            connection::<Aes256GcmSha384<Slots>>(config, acceptor, number).await
                        } else {
                            connection::<Aes128GcmSha256<Slots>>(config, acceptor, number).await
                        }
                    });
                    let exported = runtime.block_on(futures_util::future::join_all(connections));
                    all.lock().unwrap().extend(exported);
                }
            });
        }
    });
    assert_eq!(all.lock().unwrap().len(), 360);
}

/// A cancelled handshake releases its slot; a handshake in progress keeps it.
#[tokio::test]
async fn cancelled_and_completed_handshakes_release_their_slots() {
    chanbind_embedded_tls::handshake_slots!(Two, 2);
    type Suite = Aes128GcmSha256<Two>;
    let fixture = Fixture::new();
    let certificate = [fixture.authority.certificate()];
    let anchors = Anchors::new(&certificate).unwrap();
    let config = Config::with_authority("localhost", &anchors, now());
    let acceptor = server(&fixture, false);
    let begin = || async {
        let (mut read, mut write) = (vec![0; Buffers::MAX_RECORD], vec![0; 2048]);
        let buffers = Buffers {
            read: &mut read,
            write: &mut write,
        };
        let (ours, _theirs) = duplex(4096);
        connect::<Suite, _, _>(FromTokio::new(ours), &config, OsRng, buffers)
            .await
            .map(|_| ())
    };
    for _ in 0..10 {
        let (mut one, mut two) = (Box::pin(begin()), Box::pin(begin()));
        assert!(futures_util::poll!(one.as_mut()).is_pending());
        assert!(futures_util::poll!(two.as_mut()).is_pending());
        assert_eq!(begin().await, Err(ConnectError::NoSlot));
        drop(one);
        connection::<Suite>(&config, &acceptor, 1).await;
        drop(two);
    }
    // An open connection does not occupy a slot.
    let connections = (0..2).map(|number| connection::<Suite>(&config, &acceptor, number));
    futures_util::future::join_all(connections).await;
}

#[test]
fn openssl_exports_the_same_with_certificates_and_pre_shared_keys() {
    let fixture = Fixture::new();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, contents: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = path("c.pem", pem("CERTIFICATE", &fixture.server.certificate));
    let key = path("k.pem", fixture.server.key_pem());
    let anchor = [fixture.authority.certificate()];
    let anchors = Anchors::new(&anchor).unwrap();
    let psk = [0x5a; 32];
    let by_certificate = Config::with_authority("localhost", &anchors, now())
        .with_max_fragment_length(chanbind_embedded_tls::MaxFragmentLength::Bits11);
    let by_psk = Config::with_psk(b"device-1", &psk).unwrap();
    let wrong_psk = Config::with_psk(b"device-1", &[0x5b; 32]).unwrap();
    let hex_psk = hex::encode(psk);
    let credentials = ["-cert", &certificate, "-key", &key];
    let shared = ["-nocert", "-psk_identity", "device-1", "-psk", &hex_psk];

    for (arguments, config, suite, accepted) in [
        (
            &credentials[..],
            &by_certificate,
            "TLS_AES_128_GCM_SHA256",
            true,
        ),
        (
            &credentials[..],
            &by_certificate,
            "TLS_AES_256_GCM_SHA384",
            true,
        ),
        (&shared[..], &by_psk, "TLS_AES_128_GCM_SHA256", true),
        (&shared[..], &wrong_psk, "TLS_AES_128_GCM_SHA256", false),
    ] {
        let port = port::neighbours().unwrap();
        let accept = format!("127.0.0.1:{port}");
        let label = std::str::from_utf8(LABEL).unwrap();
        let common = [
            "s_server",
            "-accept",
            &accept,
            "-groups",
            "P-256",
            "-keymatexport",
            label,
            "-keymatexportlen",
            "40",
            "-ciphersuites",
            suite,
        ];
        let openssl = OpenSsl::start(&[&common[..], arguments].concat());
        let stream = (0..400)
            .find_map(|_| {
                std::thread::sleep(Duration::from_millis(25));
                TcpStream::connect(("127.0.0.1", port)).ok()
            })
            .unwrap();
        let (mut read, mut write) = (vec![0; Buffers::for_fragments(2048)], [0; 2048]);
        let buffers = Buffers {
            read: &mut read,
            write: &mut write,
        };
        let transport = FromStd::new(stream);
        let exported = match suite {
            "TLS_AES_128_GCM_SHA256" => {
                blocking::connect::<Small, _, _>(transport, config, OsRng, buffers)
                    .map(|connection| ekm_without_context(&connection))
            }
            _ => blocking::connect::<Large, _, _>(transport, config, OsRng, buffers)
                .map(|connection| ekm_without_context(&connection)),
        };
        if accepted {
            assert_eq!(
                openssl.keying_material(),
                hex::encode(exported.unwrap()),
                "{suite} {config:?}"
            );
        } else {
            assert!(
                matches!(
                    exported,
                    Err(ConnectError::Alert(_) | ConnectError::Closed | ConnectError::Decrypt)
                ),
                "{exported:?}"
            );
        }
    }
}

fn ekm_without_context(channel: &impl Exporter) -> [u8; 40] {
    let mut out = [0; 40];
    channel
        .export_keying_material(LABEL, None, &mut out)
        .unwrap();
    out
}

/// A gateway admits a client with a one-time password derived from such a connection.
#[tokio::test]
async fn gateway_admits_client_with_one_time_password() {
    use chanbind::{
        gateway::{ClientKey, ClientTable, MemoryRegistry},
        proof::otp::Settings,
    };
    let clients = [("client1".to_owned(), ClientKey::secret(b"my_api_key"))];
    let registry = MemoryRegistry::new(ClientTable::new(clients).unwrap());
    let gateway = chanbind_host_tests::gateway::TestGateway::start(registry, Settings::default())
        .await
        .unwrap();
    let ca = CertificateDer::from_pem_slice(gateway.pki.ca.as_bytes()).unwrap();
    let certificate = [ca.as_ref()];
    let anchors = Anchors::new(&certificate).unwrap();
    let config = Config::with_authority("localhost", &anchors, now());
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", gateway.port))
        .await
        .unwrap();
    let (mut read, mut write) = (vec![0; Buffers::MAX_RECORD], vec![0; 1024]);
    let buffers = Buffers {
        read: &mut read,
        write: &mut write,
    };
    let mut connection = connect::<Small, _, _>(FromTokio::new(stream), &config, OsRng, buffers)
        .await
        .unwrap();
    let profile = Profile::default();
    let client = ClientId::new("client1").unwrap();
    let key = OneTimeKey::derive(
        &profile,
        Purpose::ApiKey,
        client,
        &connection,
        &mut HmacSha256::new(b"my_api_key"),
    )
    .unwrap();
    let mut password = [0; 44];
    let password = chanbind_core::otp::api_key::encode(&key, &mut password);
    let settings = Settings::default();
    let request = format!(
        "GET /get HTTP/1.1\r\nHost: localhost\r\n{}: client1\r\n{}: {password}\r\n\r\n",
        settings.client_header, settings.key_header
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    connection.flush().await.unwrap();
    let mut response = [0; 1024];
    let len = connection.read(&mut response).await.unwrap();
    let response = String::from_utf8_lossy(&response[..len]);
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    connection.close().await.unwrap();
    gateway.stop().await;
}

/// A server configured like a gateway for firmware with the feature `small-records`: all its records fit buffers for 2 KiB.
#[tokio::test]
async fn records_of_a_server_with_small_fragments_fit_a_small_buffer() {
    let fixture = Fixture::new();
    let certificate = [fixture.authority.certificate()];
    let anchors = Anchors::new(&certificate).unwrap();
    let config = Config::with_authority("localhost", &anchors, now());
    for (fragment, fits) in [(Some(2048 + 5), true), (None, false)] {
        let mut server = ServerConfig::clone(server(&fixture, false).config());
        server.max_fragment_size = fragment;
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let (ours, theirs) = duplex(65_536);
        let (mut read, mut write) = (vec![0; Buffers::for_fragments(2048)], vec![0; 1024]);
        let buffers = Buffers {
            read: &mut read,
            write: &mut write,
        };
        let at_server = async {
            let mut stream = acceptor.accept(theirs).await.unwrap();
            stream.write_all(&[7; 10_000]).await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let at_client = async {
            let mut connection =
                connect::<Small, _, _>(FromTokio::new(ours), &config, OsRng, buffers)
                    .await
                    .unwrap();
            let (mut len, mut chunk) = (0, [0; 3000]);
            loop {
                match connection.read(&mut chunk).await {
                    Ok(0) => break Ok(len),
                    Ok(read) => len += read,
                    Err(error) => break Err(error),
                }
            }
        };
        let (read, ()) = tokio::join!(at_client, at_server);
        let expected = if fits {
            Ok(10_000)
        } else {
            Err(StreamError::RecordTooLarge)
        };
        assert_eq!(read, expected);
    }
}

/// A connection whose handshake was cancelled exports nothing, and reports the reason.
#[tokio::test]
async fn cancelled_handshake_leaves_a_connection_that_exports_nothing() {
    use chanbind_core::exporter::ExporterError;
    use chanbind_embedded_tls::connect_in;
    let fixture = Fixture::new();
    let certificate = [fixture.authority.certificate()];
    let anchors = Anchors::new(&certificate).unwrap();
    let config = Config::with_authority("localhost", &anchors, now());
    let (mut read, mut write) = (vec![0; Buffers::MAX_RECORD], vec![0; 1024]);
    let buffers = Buffers {
        read: &mut read,
        write: &mut write,
    };
    let (ours, _theirs) = duplex(4096);
    let mut slot = None;
    {
        let transport = FromTokio::new(ours);
        let mut opening = Box::pin(connect_in::<Small, _, _>(
            &mut slot, transport, &config, OsRng, buffers,
        ));
        assert!(futures_util::poll!(opening.as_mut()).is_pending());
    }
    let mut connection = slot.unwrap();
    let mut out = [7; 32];
    let exported = connection.export_keying_material(LABEL, None, &mut out);
    assert_eq!(
        (exported, out),
        (Err(ExporterError::HandshakeIncomplete), [0; 32])
    );
    assert_eq!(connection.read(&mut out).await, Err(StreamError::Broken));
    assert_eq!(connection.write(&out).await, Err(StreamError::Broken));
}

/// With a generator that always returns the same numbers, no connection gets the exporter of another one: it may get none.
#[test]
fn equal_client_randoms_never_mix_up_exporters() {
    struct Sevens;
    impl rand_core::RngCore for Sevens {
        fn next_u32(&mut self) -> u32 {
            7
        }
        fn next_u64(&mut self) -> u64 {
            7
        }
        fn fill_bytes(&mut self, dest: &mut [u8]) {
            dest.fill(7);
        }
        fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
            dest.fill(7);
            Ok(())
        }
    }
    impl rand_core::CryptoRng for Sevens {}

    chanbind_embedded_tls::handshake_slots!(Shared, 8);
    let fixture = Fixture::new();
    let acceptor = server(&fixture, false);
    let certificate = [fixture.authority.certificate()];
    let anchors = Anchors::new(&certificate).unwrap();
    let config = Config::with_authority("localhost", &anchors, now());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (acceptor, config) = (&acceptor, &config);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                for _ in 0..300 {
                    runtime.block_on(async {
                        let (ours, theirs) = duplex(4096);
                        let (mut read, mut write) = (vec![0; Buffers::MAX_RECORD], [0; 1024]);
                        let buffers = Buffers {
                            read: &mut read,
                            write: &mut write,
                        };
                        let client = connect::<Aes128GcmSha256<Shared>, _, _>(
                            FromTokio::new(ours),
                            config,
                            Sevens,
                            buffers,
                        );
                        let (client, server) = tokio::join!(client, acceptor.accept(theirs));
                        match client {
                            Ok(client) => assert_eq!(
                                ekm(&client, b""),
                                ekm(&RustlsExporter::new(server.unwrap().get_ref().1), b"")
                            ),
                            Err(error) => assert_eq!(error, ConnectError::NoExporter),
                        }
                    });
                }
            });
        }
    });
}
