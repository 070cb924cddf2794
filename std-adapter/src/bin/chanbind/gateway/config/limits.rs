//! The section `[limits]`.

use crate::failure::Failure;
use chanbind::gateway::Limits;
use ipnet::IpNet;
use serde::Deserialize;
use std::time::Duration;

/// Limits on what clients can use.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    connections: Option<usize>,
    handshakes_per_second: Option<u32>,
    handshakes_per_second_and_address: Option<u32>,
    pending_proofs: Option<usize>,
    head_bytes: Option<usize>,
    uri_bytes: Option<usize>,
    idle_seconds: Option<u64>,
    head_seconds: Option<u64>,
    body_seconds: Option<u64>,
    response_seconds: Option<u64>,
    shutdown_seconds: Option<u64>,
    /// The addresses of load balancers that name clients by the PROXY protocol.
    #[serde(default)]
    proxy_protocol_from: Vec<String>,
}

/// The longest time that can be configured, in seconds.
const MAX_SECONDS: u64 = 86_400;

impl Section {
    /// Changes the limits that are configured.
    pub(super) fn apply(&self, limits: &mut Limits) -> Result<(), Failure> {
        let counts = [
            ("connections", self.connections, &mut limits.connections, 1),
            ("head_bytes", self.head_bytes, &mut limits.head_len, 8192),
            ("uri_bytes", self.uri_bytes, &mut limits.uri_len, 64),
        ];
        for (name, value, limit, least) in counts {
            match value {
                Some(value) if value < least => {
                    return Err(format!("limits.{name} = {value}: write {least} or more").into());
                }
                Some(value) => *limit = value,
                None => {}
            }
        }
        let rates = [
            (
                self.handshakes_per_second,
                &mut limits.handshakes_per_second,
            ),
            (
                self.handshakes_per_second_and_address,
                &mut limits.handshakes_per_second_and_address,
            ),
        ];
        for (value, limit) in rates {
            *limit = value.unwrap_or(*limit);
        }
        let times = [
            ("idle_seconds", self.idle_seconds, &mut limits.idle),
            ("head_seconds", self.head_seconds, &mut limits.head),
            ("body_seconds", self.body_seconds, &mut limits.body),
            (
                "response_seconds",
                self.response_seconds,
                &mut limits.response,
            ),
            (
                "shutdown_seconds",
                self.shutdown_seconds,
                &mut limits.shutdown,
            ),
        ];
        for (name, value, limit) in times {
            match value {
                Some(seconds) if !(1..=MAX_SECONDS).contains(&seconds) => {
                    return Err(format!(
                        "limits.{name} = {seconds}: write a number from 1 to {MAX_SECONDS}"
                    )
                    .into());
                }
                Some(seconds) => *limit = Duration::from_secs(seconds),
                None => {}
            }
        }
        Ok(())
    }

    /// Returns the maximum number of proofs that are verified at a time.
    pub(super) fn pending_proofs(&self) -> Result<Option<usize>, Failure> {
        match self.pending_proofs {
            Some(0) => Err("limits.pending_proofs = 0: write 1 or more".into()),
            number => Ok(number),
        }
    }

    /// Returns the networks of load balancers.
    pub(super) fn proxies(&self) -> Result<Vec<IpNet>, Failure> {
        let networks = self.proxy_protocol_from.iter().map(|text| {
            let address = text.parse().map(|address: std::net::IpAddr| IpNet::from(address));
            text.parse().or(address).map_err(|_| {
                format!("limits.proxy_protocol_from: {text:?}: write an address, or a network like 10.0.0.0/8").into()
            })
        });
        networks.collect()
    }
}
