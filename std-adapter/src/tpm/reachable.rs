//! Finds the reason why a TPM cannot be reached. The TPM software stack reports only an I/O error, so the operating system is asked
//! instead.

use super::TpmError;
use std::{
    fs::OpenOptions,
    io::{self, ErrorKind},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

/// Returns the error for a TPM that could not be connected to. `tcti` is its TCTI, `error` the error of the TPM software stack.
pub(super) fn unreachable_tpm(tcti: &str, error: tss_esapi::Error) -> TpmError {
    let (name, configuration) = tcti.split_once(':').unwrap_or((tcti, ""));
    let (result, advice) = match name {
        "device" => {
            let path = if configuration.is_empty() {
                DEFAULT_DEVICE
            } else {
                configuration
            };
            let result = OpenOptions::new().read(true).write(true).open(path);
            (result.map(drop), &DEVICE)
        }
        // For a socket in the file system, only the stack's error is reported.
        "swtpm" | "mssim" if configuration.contains("path=") => (Ok(()), &SOCKET),
        "swtpm" | "mssim" => (connect(configuration), &SOCKET),
        _ => (Ok(()), &OTHER),
    };
    let tcti = tcti.to_owned();
    match result {
        Ok(()) => TpmError::NoTpm {
            tcti,
            reason: error.to_string(),
            advice: advice.not_a_tpm,
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

/// Connects to the host and port in a TCTI's configuration, and closes the connection again.
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

/// The remedies for one kind of TCTI, by the kind of error.
struct Advice {
    not_found: &'static str,
    permission: &'static str,
    busy: &'static str,
    not_a_tpm: &'static str,
}

const DEVICE: Advice = Advice {
    not_found: "check that there is a TPM, that it is enabled in the firmware setup, and that its driver is loaded (`ls /dev/tpm*`); without a TPM, use swtpm",
    permission: "add the user to the device's group (see `ls -l /dev/tpmrm0`; often tss) and log in again",
    busy: "another program uses the TPM exclusively; use the resource manager's device, /dev/tpmrm0",
    not_a_tpm: "check that it is the device of a TPM 2.0, such as /dev/tpmrm0",
};

const SOCKET: Advice = Advice {
    not_found: "start one with `swtpm socket --tpm2 --tpmstate dir=DIR --flags not-need-init,startup-clear --server type=tcp,port=2321 --ctrl type=tcp,port=2322`, or give the TCTI of one that runs",
    permission: "check that no firewall or sandbox blocks the connection",
    busy: "it serves one program at a time; end the other program",
    not_a_tpm: "check that it is swtpm's server port, that the control port is the next one, and that no other program is connected: swtpm serves one program at a time",
};

const OTHER: Advice = Advice {
    not_found: "check that its service runs",
    permission: "check that this user may use it",
    busy: "another program uses it exclusively; end that program",
    not_a_tpm: "check that its service runs and that this user may use it",
};

const DEFAULT_DEVICE: &str = "/dev/tpm0";
const DEFAULT_PORT: u16 = 2321;
