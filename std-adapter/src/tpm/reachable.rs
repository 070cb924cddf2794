//! Why a TPM cannot be reached. The TPM software stack says no more than that it is an I/O error, so the system is asked itself.

use super::TpmError;
use std::{
    fs::OpenOptions,
    io::{self, ErrorKind},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

/// Finds the reason for which the TPM behind `tcti` could not be connected to; `error` is what the stack said.
pub(super) fn unreachable_tpm(tcti: &str, error: tss_esapi::Error) -> TpmError {
    let (name, configuration) = tcti.split_once(':').unwrap_or((tcti, ""));
    let (tried, advice) = match name {
        "device" => {
            let path = if configuration.is_empty() {
                DEFAULT_DEVICE
            } else {
                configuration
            };
            let tried = OpenOptions::new().read(true).write(true).open(path);
            (tried.map(drop), &DEVICE)
        }
        // A socket in the file system is left to the stack's own words.
        "swtpm" | "mssim" if configuration.contains("path=") => (Ok(()), &SOCKET),
        "swtpm" | "mssim" => (connect(configuration), &SOCKET),
        _ => (Ok(()), &OTHER),
    };
    let tcti = tcti.to_owned();
    match tried {
        Ok(()) => TpmError::NoTpm {
            tcti,
            reason: error.to_string(),
            advice: advice.answers,
        },
        Err(reason) => match reason.kind() {
            ErrorKind::PermissionDenied => TpmError::NoPermission {
                tcti,
                reason,
                advice: advice.permission,
            },
            ErrorKind::ResourceBusy | ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                TpmError::Busy {
                    tcti,
                    reason,
                    advice: advice.busy,
                }
            }
            _ => TpmError::NotFound {
                tcti,
                reason,
                advice: advice.not_found,
            },
        },
    }
}

/// To the host and port of a TCTI's configuration.
fn connect(configuration: &str) -> io::Result<()> {
    let value = |name: &str| {
        let mut pairs = configuration
            .split(',')
            .filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    };
    let port = value("port").map_or(Ok(DEFAULT_PORT), str::parse);
    let port = port.map_err(|_| ErrorKind::InvalidInput)?;
    let mut last = io::Error::from(ErrorKind::NotFound);
    for address in (value("host").unwrap_or("localhost"), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Remedies, by the kind of TCTI.
struct Advice {
    not_found: &'static str,
    permission: &'static str,
    busy: &'static str,
    answers: &'static str,
}

const DEVICE: Advice = Advice {
    not_found: "is there a TPM, is it enabled in the firmware's set-up, and is its driver loaded (`ls /dev/tpm*`)? Without one, use swtpm",
    permission: "add the user to the device's group (`ls -l /dev/tpmrm0`, often tss), and log in again",
    busy: "another program has the TPM for itself: use the resource manager's device, /dev/tpmrm0",
    answers: "is it the device of a TPM 2.0, such as /dev/tpmrm0?",
};

const SOCKET: Advice = Advice {
    not_found: "start one with `swtpm socket --tpm2 --tpmstate dir=DIR --flags not-need-init,startup-clear --server type=tcp,port=2321 --ctrl type=tcp,port=2322`, or say where it is",
    permission: "a firewall or sandbox may be in the way",
    busy: "it serves one program at a time: end the other one",
    answers: "is it swtpm's --server port, with the control port next to it, and no other program's? It serves one program at a time",
};

const OTHER: Advice = Advice {
    not_found: "is it running?",
    permission: "may this user use it?",
    busy: "another program has it",
    answers: "is its service running, and may this user use it?",
};

const DEFAULT_DEVICE: &str = "/dev/tpm0";
const DEFAULT_PORT: u16 = 2321;
