//! The options that the subcommands of all kinds of proof have.

use super::{Config, Proofs, RuleEntry, Tls, handshake_seconds, parse_listen};
use chanbind::gateway::Limits;
use clap::Args;
use std::{net::SocketAddr, path::PathBuf};
use toml::Spanned;

/// Options of the server, for every kind of proof.
#[derive(Args)]
pub(in super::super) struct ServerArguments {
    /// The server's certificate chain, PEM, its own certificate first.
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,

    /// The key of that certificate, PEM.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The address to listen on, like 127.0.0.1:8443, or :8443 for all addresses of this host; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443", value_parser = parse_listen)]
    listen: SocketAddr,

    /// The number of connections from one address; for a further one the longest idle one is closed. Raise it where many devices
    /// share an address.
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().connections_per_address)]
    max_connections_per_address: usize,

    /// Send TLS records with at most so many bytes, for devices with little memory: 2048 suits firmware with the feature
    /// small-records. The certificates must fit one record.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(512..=16384))]
    max_fragment_size: Option<u16>,

    /// The time limit for a TLS handshake, in seconds. Raise it for devices whose processor takes seconds for a signature.
    #[arg(long, value_name = "SECONDS", default_value_t = handshake_seconds(), value_parser = clap::value_parser!(u16).range(1..=600))]
    handshake_seconds: u16,
}

impl ServerArguments {
    /// Returns a configuration in which every path needs the proof `needs`.
    pub(in super::super) fn config(self, needs: &str, proof: Proofs) -> Config {
        Config {
            listen: self.listen,
            max_connections_per_address: self.max_connections_per_address,
            max_fragment_size: self.max_fragment_size,
            handshake_seconds: self.handshake_seconds,
            tls: Tls {
                certificate: self.cert,
                key: self.key,
            },
            limits: super::limits::Section::default(),
            admin: None,
            diagnostics: None,
            upstream: None,
            proof,
            rule: vec![Spanned::new(0..0, RuleEntry::everything(needs))],
            folder: PathBuf::new(),
            source: None,
        }
    }
}
