//! Messages with too many or too few bytes or in another order, and malformed lists. Finished and the signature are valid, so
//! that the encoding is the reason of the rejection.

use super::{
    maker::{CERTIFICATE, CERTIFICATE_VERIFY, FINISHED, extension, message, sized},
    *,
};

fn malformed(malformed: MalformedMessage) -> Result<(), ValidateError> {
    Err(ValidateError::Malformed(malformed))
}

#[test]
fn rejects_stray_bytes_at_every_level_of_authenticator() {
    let pki = Pki::new();
    let request = request();
    for (place, expected) in [
        (Place::EntryExtensions, malformed(MalformedMessage::Length)),
        (Place::Entries, malformed(MalformedMessage::Length)),
        (
            Place::Certificate,
            malformed(MalformedMessage::TrailingBytes),
        ),
        (Place::Der, Err(PathError::Certificate.into())),
        (Place::Signature, Err(ValidateError::CertificateVerify)),
        (
            Place::CertificateVerify,
            malformed(MalformedMessage::TrailingBytes),
        ),
        (Place::Finished, malformed(MalformedMessage::Length)),
        (
            Place::Authenticator,
            malformed(MalformedMessage::TrailingBytes),
        ),
    ] {
        for stray in [&[0][..], &[0xff], &[0; 2]] {
            let mut maker = maker(&pki, &request);
            maker.stray = Some((place, stray));
            assert_eq!(verdict(&pki, &maker.make()), expected, "{place:?}");
        }
    }
}

#[test]
fn rejects_stray_bytes_in_empty_authenticator() {
    let pki = Pki::new();
    let request = request();
    for (place, expected) in [
        (Place::Finished, malformed(MalformedMessage::Length)),
        (
            Place::Authenticator,
            malformed(MalformedMessage::TrailingBytes),
        ),
    ] {
        let mut maker = maker(&pki, &request);
        maker.stray = Some((place, &[0]));
        assert_eq!(verdict(&pki, &maker.empty()), expected, "{place:?}");
    }
}

/// Returns the three messages of an honest authenticator, and the Finished of an empty one.
fn messages(pki: &Pki, request: &[u8]) -> [Vec<u8>; 4] {
    let maker = maker(pki, request);
    let whole = maker.make();
    let (certificate, rest) = whole.split_at(maker.certificate().len());
    let (verify, finished) = rest.split_at(rest.len() - 36);
    [
        certificate.to_vec(),
        verify.to_vec(),
        finished.to_vec(),
        maker.empty(),
    ]
}

#[test]
fn rejects_other_message_sequences_in_authenticator() {
    let pki = Pki::new();
    let request = request();
    let [certificate, verify, finished, empty] = messages(&pki, &request);
    let trailing = ValidateError::Malformed(MalformedMessage::TrailingBytes);
    let length = ValidateError::Malformed(MalformedMessage::Length);
    let cases: [(&[&[u8]], ValidateError); 13] = [
        (&[&certificate], length),
        (&[&certificate, &verify], length),
        (
            &[&certificate, &finished],
            wrong_message(CERTIFICATE_VERIFY, FINISHED),
        ),
        (
            &[&certificate, &empty],
            wrong_message(CERTIFICATE_VERIFY, FINISHED),
        ),
        (
            &[&verify, &finished],
            wrong_message(CERTIFICATE, CERTIFICATE_VERIFY),
        ),
        (
            &[&verify, &certificate, &finished],
            wrong_message(CERTIFICATE, CERTIFICATE_VERIFY),
        ),
        (
            &[&certificate, &certificate, &verify, &finished],
            wrong_message(CERTIFICATE_VERIFY, CERTIFICATE),
        ),
        (
            &[&certificate, &verify, &verify, &finished],
            wrong_message(FINISHED, CERTIFICATE_VERIFY),
        ),
        (&[&certificate, &verify, &finished, &finished], trailing),
        (&[&finished, &certificate, &verify, &finished], trailing),
        (&[&empty, &certificate, &verify, &finished], trailing),
        (
            &[&request, &certificate, &verify, &finished],
            wrong_message(CERTIFICATE, 13),
        ),
        (&[&finished], ValidateError::Finished),
    ];
    for (messages, expected) in cases {
        let refused = verdict(&pki, &messages.concat());
        assert_eq!(refused, Err(expected), "{messages:02x?}");
    }
    let honest = [certificate, verify, finished].concat();
    assert_eq!(verdict(&pki, &honest), Ok(()));
}

/// An authenticator without a certificate consists of Finished alone; a Certificate message must have one.
#[test]
fn rejects_certificate_message_without_certificate() {
    let pki = Pki::new();
    let request = request();
    let mut maker = maker(&pki, &request);
    maker.entries.clear();
    assert_eq!(
        verdict(&pki, &maker.make()),
        malformed(MalformedMessage::NoCertificate)
    );
    let certificate = maker.certificate();
    let with_finished = [&*certificate, &maker.empty()].concat();
    assert_eq!(
        verdict(&pki, &with_finished),
        malformed(MalformedMessage::NoCertificate)
    );
}

#[test]
fn rejects_empty_certificate_entry() {
    let pki = Pki::new();
    let request = request();
    let authority = pki.authority.certificate();
    for at in 0..3 {
        let mut maker = maker(&pki, &request);
        maker.entries.push((authority.to_vec(), Vec::new()));
        maker.entries.insert(at, Default::default());
        assert_eq!(
            verdict(&pki, &maker.make()),
            malformed(MalformedMessage::NoCertificate),
            "{at}"
        );
    }
}

#[test]
fn rejects_duplicate_extension_in_certificate_entry() {
    let pki = Pki::new();
    let mut parameters = parameters(CONTEXT);
    parameters.other = &[STATUS_REQUEST];
    let request = request_with(&parameters);
    let once = extension(5, b"an answer");
    for (extensions, expected) in [
        (once.clone(), Ok(())),
        (
            [&*once, &once].concat(),
            malformed(MalformedMessage::DuplicateExtension(
                ExtensionType::STATUS_REQUEST,
            )),
        ),
    ] {
        for at in 0..2 {
            let mut maker = maker(&pki, &request);
            let authority = pki.authority.certificate();
            maker.entries.push((authority.to_vec(), Vec::new()));
            maker.entries[at].1.clone_from(&extensions);
            let result = verdict_with(&parameters, &pki.authority, &maker.make());
            assert_eq!(result, expected);
        }
    }
}

const STATUS_REQUEST: Extension<'static> = Extension {
    extension_type: ExtensionType::STATUS_REQUEST,
    data: &[],
};

#[test]
fn rejects_more_than_32_extensions_in_certificate_entry() {
    let pki = Pki::new();
    let request = request();
    for (count, expected) in [
        (
            32,
            Err(ValidateError::UnsolicitedExtension(ExtensionType(0x1000))),
        ),
        (33, malformed(MalformedMessage::TooManyExtensions)),
        (1000, malformed(MalformedMessage::TooManyExtensions)),
    ] {
        let mut maker = maker(&pki, &request);
        for kind in 0..count {
            maker.entries[0].1.extend(extension(0x1000 + kind, &[]));
        }
        assert_eq!(verdict(&pki, &maker.make()), expected, "{count}");
    }
}

#[test]
fn rejects_unsolicited_extension() {
    let pki = Pki::new();
    let request = request();
    for at in 0..2 {
        let mut maker = maker(&pki, &request);
        let authority = pki.authority.certificate();
        maker.entries.push((authority.to_vec(), Vec::new()));
        maker.entries[at].1 = extension(18, &[]);
        let expected =
            ValidateError::UnsolicitedExtension(ExtensionType::SIGNED_CERTIFICATE_TIMESTAMP);
        assert_eq!(verdict(&pki, &maker.make()), Err(expected), "{at}");
    }
    let mut maker = Maker::new(Side::Server, &[], CONTEXT, &pki.server);
    maker.entries[0].1 = extension(18, &[]);
    let result = validate_spontaneous(
        &mut Connection::new(1).client,
        &maker.make(),
        &pki.authority,
    )
    .map(|_| ());
    let expected = ValidateError::UnsolicitedExtension(ExtensionType::SIGNED_CERTIFICATE_TIMESTAMP);
    assert_eq!(result, Err(expected));
}

/// The extension was requested, but describes the request: a certificate entry cannot have it.
#[test]
fn rejects_request_extension_in_certificate_entry() {
    let pki = Pki::new();
    let mut parameters = parameters(CONTEXT);
    parameters.signature_algorithms_cert = &[P256];
    parameters.certificate_authorities = &[b"any name"];
    parameters.oid_filters = &[OidFilter {
        oid: &[6, 1, 0x55],
        values: &[],
    }];
    parameters.server_name = Some("localhost");
    // The client sends the request.
    for kind in [0, 13, 47, 48, 50] {
        let mut client = Connection::new(1).client;
        let pending = create_request(&mut client, &parameters);
        let request = pending.as_bytes().to_vec();
        let mut maker = Maker::new(Side::Server, &request, CONTEXT, &pki.server);
        maker.entries[0].1 = extension(kind, &[]);
        let authenticator = maker.make();
        let result = validate(&mut client, pending, &authenticator, &pki.authority).unwrap_err();
        let kind = ExtensionType(kind);
        assert_eq!(result, ValidateError::UnsolicitedExtension(kind));
        // The same with an extension of the ClientHello.
        let offered = Offered {
            signature_algorithms: &[P256],
            signature_algorithms_cert: &[],
            extensions: &[kind],
        };
        let mut maker = Maker::new(Side::Server, &[], CONTEXT, &pki.server);
        maker.entries[0].1 = extension(kind.0, &[]);
        let authenticator = maker.make();
        let anchors = Anchors::new(&[pki.authority.certificate()]).unwrap();
        let rules = PathRules::new(&anchors, Usage::ServerAuth, now());
        let mut client = Connection::new(1).client;
        let result = client.validate_spontaneous(&offered, &authenticator, &rules);
        assert_eq!(
            result.unwrap_err(),
            ValidateError::UnsolicitedExtension(kind)
        );
    }
}

/// Each length field, one more and one less: no bytes are read beyond the message, and none are left over.
#[test]
fn rejects_wrong_length_fields_in_certificate_message() {
    let pki = Pki::new();
    let request = request();
    let honest = maker(&pki, &request);
    let certificate = honest.certificate();
    let context_at = 4;
    let list_at = context_at + 1 + CONTEXT.len() + 2;
    let der_at = list_at + 3;
    let extensions_at = certificate.len() - 1;
    for at in [3, context_at, list_at, der_at, extensions_at] {
        for change in [1, 0xff] {
            let mut maker = maker(&pki, &request);
            let mut changed = certificate.clone();
            changed[at] = changed[at].wrapping_add(change);
            maker.sent_certificate = Some(changed);
            let error = verdict(&pki, &maker.make()).unwrap_err();
            assert!(
                matches!(error, ValidateError::Malformed(_)),
                "{at}: {error}"
            );
        }
    }
}

/// The length field of the context cannot encode 256.
#[test]
fn rejects_context_of_256_bytes() {
    let context = [7; 256];
    let mut connection = Connection::new(1);
    let parameters = parameters(&context);
    let refused = connection.server.request(&parameters, [0; 1024]);
    let expected = RequestError::ContextTooLong { actual: 256 };
    assert_eq!(refused.unwrap_err(), expected);
    let pki = Pki::new();
    let certificates = [pki.server.certificate.as_slice()];
    let chain = CertificateChain::new(&certificates, P256);
    let mut out = [0; 4096];
    let refused =
        (connection.server).authenticate_spontaneously(&context, &OFFERED, &chain, &mut out);
    let expected = AuthenticateError::ContextTooLong { actual: 256 };
    assert_eq!(refused.unwrap_err(), expected);
    assert_eq!(connection.server.contexts_left(), 16);
}

/// The Certificate message of TLS 1.2 has no context and no extensions.
#[test]
fn rejects_tls_1_2_certificate_message() {
    let pki = Pki::new();
    let request = request();
    let mut maker = maker(&pki, &request);
    let list = sized(3, &sized(3, &pki.client.certificate));
    maker.sent_certificate = Some(message(CERTIFICATE, &list));
    let error = verdict(&pki, &maker.make()).unwrap_err();
    assert!(matches!(error, ValidateError::Malformed(_)), "{error}");
}
