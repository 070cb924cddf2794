//! A relay between a program and a TPM, which records the traffic and injects faults.

use crate::{port, swtpm};
use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

/// A relay between a program and a swtpm.
///
/// The relay records every byte that passes. It can close the connection after the TPM has executed a command and before the program
/// gets the response, and it can change, replace and delay responses. Dropping the handle ends the relay for new connections.
pub struct TpmLine {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Every byte that the relay passed on, in both directions.
    traffic: Mutex<Vec<u8>>,
    commands: Mutex<Vec<u32>>,
    cut_at: AtomicU32,
    change_at: AtomicU32,
    responses: Mutex<HashMap<u32, Vec<u8>>>,
    substitutes: Mutex<HashMap<u32, Vec<u8>>>,
    delays: Mutex<HashMap<u32, Duration>>,
    ended: AtomicBool,
}

impl TpmLine {
    /// Starts a relay to the swtpm with the data port `tpm_port`. The relay listens on two free ports of 127.0.0.1.
    ///
    /// # Errors
    /// Returns the system's error if no pair of adjacent free ports is found.
    pub fn to(tpm_port: u16) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (data, control) = port::listeners()?;
        let port = data.local_addr()?.port();
        for (offset, listener, is_data) in [(0, data, true), (1, control, false)] {
            let target = tpm_port.saturating_add(offset);
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for client in listener.incoming().flatten() {
                    if shared.ended.load(Ordering::Relaxed) {
                        break;
                    }
                    if let Ok(tpm) = TcpStream::connect(("127.0.0.1", target)) {
                        let shared = Arc::clone(&shared);
                        thread::spawn(move || {
                            let _ = if is_data {
                                relay(&client, &tpm, &shared)
                            } else {
                                copy(&client, &tpm)
                            };
                            let _ = client.shutdown(Shutdown::Both);
                            let _ = tpm.shutdown(Shutdown::Both);
                        });
                    }
                }
            });
        }
        Ok(Self { port, shared })
    }

    /// Returns the TCTI string with which the TPM software stack reaches the TPM through the relay.
    #[must_use]
    pub fn tcti(&self) -> String {
        swtpm::tcti(self.port)
    }

    /// Closes the connection once, when the TPM has responded to a command with this code. The program does not get the response.
    pub fn cut_at(&self, command_code: u32) {
        self.shared.cut_at.store(command_code, Ordering::SeqCst);
    }

    /// Flips one bit of the next response to a command with this code, in its byte 20, which lies behind the header.
    pub fn change_answer_to(&self, command_code: u32) {
        self.shared.change_at.store(command_code, Ordering::SeqCst);
    }

    /// Returns the last response that the program received to a command with this code, as it was passed on.
    #[must_use]
    pub fn answer_to(&self, command_code: u32) -> Option<Vec<u8>> {
        let responses = self
            .shared
            .responses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        responses.get(&command_code).cloned()
    }

    /// Replaces the TPM's response to the next command with this code by `response`.
    pub fn substitute(&self, command_code: u32, response: Vec<u8>) {
        let mut substitutes = self
            .shared
            .substitutes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        substitutes.insert(command_code, response);
    }

    /// Delays the response to the next command with this code by `time`.
    pub fn hold_answer_to(&self, command_code: u32, time: Duration) {
        let mut delays = (self.shared.delays.lock()).unwrap_or_else(PoisonError::into_inner);
        delays.insert(command_code, time);
    }

    /// Returns whether the recorded traffic contains `bytes`.
    #[must_use]
    pub fn has_seen(&self, bytes: &[u8]) -> bool {
        let traffic = self
            .shared
            .traffic
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        traffic.windows(bytes.len()).any(|window| window == bytes)
    }

    /// Returns the codes of the commands that have passed since the last call, and forgets them.
    #[must_use]
    pub fn take_commands(&self) -> Vec<u32> {
        std::mem::take(
            &mut *self
                .shared
                .commands
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl Drop for TpmLine {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        for offset in [0, 1] {
            let _ = TcpStream::connect(("127.0.0.1", self.port.saturating_add(offset)));
        }
    }
}

/// Passes on whole commands and whole responses, and injects the faults that `shared` asks for.
fn relay(mut client: &TcpStream, mut tpm: &TcpStream, shared: &Shared) -> io::Result<()> {
    loop {
        let (command, code) = frame(client)?;
        shared
            .traffic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(&command);
        shared
            .commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(code);
        tpm.write_all(&command)?;
        let (mut response, _) = frame(tpm)?;
        if shared
            .cut_at
            .compare_exchange(code, 0, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
        {
            return Ok(());
        }
        if shared
            .change_at
            .compare_exchange(code, 0, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
            && let Some(byte) = response.get_mut(20)
        {
            *byte ^= 1;
        }
        let substitute = shared
            .substitutes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&code);
        if let Some(substitute) = substitute {
            response = substitute;
        }
        shared
            .responses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(code, response.clone());
        shared
            .traffic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(&response);
        let delay = (shared.delays.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&code);
        if let Some(time) = delay {
            thread::sleep(time);
        }
        client.write_all(&response)?;
    }
}

/// Reads one TPM command or response (tag, size, code, body) and returns its bytes and its code.
fn frame(mut from: &TcpStream) -> io::Result<(Vec<u8>, u32)> {
    let mut header = [0; 10];
    from.read_exact(&mut header)?;
    let word = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let size = usize::try_from(word(2)).unwrap_or(usize::MAX);
    if !(10..=8192).contains(&size) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the size of a TPM command or response is not between 10 and 8192 bytes",
        ));
    }
    let mut bytes = header.to_vec();
    bytes.resize(size, 0);
    from.read_exact(&mut bytes[10..])?;
    Ok((bytes, word(6)))
}

fn copy(client: &TcpStream, tpm: &TcpStream) -> io::Result<()> {
    thread::scope(|scope| {
        let back = scope.spawn(|| {
            let copied = io::copy(&mut &*tpm, &mut &*client);
            let _ = client.shutdown(Shutdown::Both);
            copied
        });
        let forth = io::copy(&mut &*client, &mut &*tpm);
        let _ = tpm.shutdown(Shutdown::Both);
        forth.and(back.join().unwrap_or(Ok(0))).map(|_| ())
    })
}
