//! `inspect request`: prints a request for an Exported Authenticator.

use super::{
    authenticator::{context, size},
    container::{Kind, read_kind},
    line,
    name::{distinguished_name, object_identifier, visible},
};
use crate::{failure::Failure, files::named};
use chanbind::{
    proof::authenticator::header_fields::MAX_REQUEST_LEN,
    protocol::{
        authenticator::{ExtensionType, OidFilter, Request},
        binding::Side,
        x509::SignatureScheme,
    },
};
use std::{fmt::Write, path::Path};
use x509_parser::{
    extensions::{ExtendedKeyUsage, KeyUsage},
    prelude::FromDer,
};

pub(super) fn request(out: &mut String, path: &Path) -> Result<(), Failure> {
    let container = read_kind(path, Kind::Request)?;
    let request = Request::parse(&container.bytes)
        .map_err(|error| named(path, format!("not a request: {error}")))?;
    writeln!(
        out,
        "{}; not verified here",
        match request.sender() {
            Side::Server => "request of a server to a client (CertificateRequest)",
            Side::Client => "request of a client to a server (ClientCertificateRequest)",
        }
    )?;
    line(out, "context", context(request.context()));
    line(out, "schemes", schemes(request.signature_algorithms()));
    let certificates = ExtensionType::SIGNATURE_ALGORITHMS_CERT;
    if request.extensions().find(certificates).is_some() {
        let schemes = schemes(request.signature_algorithms_cert());
        line(out, "in its chain", schemes);
    }
    match request.certificate_authorities() {
        Some(names) => {
            for name in names {
                line(out, "authority", distinguished_name(name));
            }
        }
        None => line(out, "authority", "any"),
    }
    for oid_filter in request.oid_filters() {
        line(out, "filter", filter(oid_filter));
    }
    if let Some(name) = request.server_name() {
        line(out, "server name", visible(name));
    }
    for extension in request.extensions() {
        if !PRINTED.contains(&extension.extension_type) {
            line(
                out,
                "extension",
                format_args!(
                    "{}, {} bytes",
                    extension.extension_type,
                    extension.data.len()
                ),
            );
        }
    }
    line(out, "size", size(container.bytes.len(), MAX_REQUEST_LEN));
    if let Some(remark) = container.remark {
        line(out, "text", remark);
    }
    Ok(())
}

/// The extensions that are printed in detail.
const PRINTED: [ExtensionType; 5] = [
    ExtensionType::SERVER_NAME,
    ExtensionType::SIGNATURE_ALGORITHMS,
    ExtensionType::SIGNATURE_ALGORITHMS_CERT,
    ExtensionType::CERTIFICATE_AUTHORITIES,
    ExtensionType::OID_FILTERS,
];

fn schemes(schemes: impl Iterator<Item = SignatureScheme>) -> String {
    schemes
        .map(|scheme| scheme.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Formats the values that a certificate's extension must have.
fn filter(filter: OidFilter<'_>) -> String {
    let name = object_identifier(filter.oid);
    if filter.values.is_empty() {
        return format!("{name} must be present");
    }
    let values = match name.as_str() {
        "keyUsage" => KeyUsage::from_der(filter.values)
            .ok()
            .map(|(_, usage)| usage.to_string()),
        "extendedKeyUsage" => ExtendedKeyUsage::from_der(filter.values)
            .ok()
            .map(|(_, usage)| purposes(&usage)),
        _ => None,
    };
    let values = values.unwrap_or_else(|| hex::encode(filter.values));
    format!("{name} must have {values}")
}

fn purposes(usage: &ExtendedKeyUsage<'_>) -> String {
    let known = [
        (usage.client_auth, "clientAuth"),
        (usage.server_auth, "serverAuth"),
        (usage.any, "anyExtendedKeyUsage"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let known = known.iter().filter(|(is_set, _)| *is_set);
    let known = known.map(|(_, name)| (*name).to_owned());
    let others = usage.other.iter().map(|oid| oid.to_id_string());
    known.chain(others).collect::<Vec<_>>().join(", ")
}
