//! The line to a TPM, listened to, and cut at will.

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

/// A relay between a program and a swtpm. It remembers every byte that passes, and can cut the line in the middle of a
/// command: the TPM gets the command, the program gets no answer.
pub struct TpmLine {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    passed: Mutex<Vec<u8>>,
    commands: Mutex<Vec<u32>>,
    cut_at: AtomicU32,
    change_at: AtomicU32,
    answers: Mutex<HashMap<u32, Vec<u8>>>,
    substitutes: Mutex<HashMap<u32, Vec<u8>>>,
    holds: Mutex<HashMap<u32, Duration>>,
    ended: AtomicBool,
}

impl TpmLine {
    /// Puts a line before the swtpm at `tpm_port`.
    ///
    /// # Errors
    /// As the system says.
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

    /// The TCTI string that goes by this line.
    #[must_use]
    pub fn tcti(&self) -> String {
        swtpm::tcti(self.port)
    }

    /// Cuts the line once, when a command with this code has gone to the TPM.
    pub fn cut_at(&self, command_code: u32) {
        self.shared.cut_at.store(command_code, Ordering::SeqCst);
    }

    /// Flips one bit in the parameters of the next answer to a command with this code.
    pub fn change_answer_to(&self, command_code: u32) {
        self.shared.change_at.store(command_code, Ordering::SeqCst);
    }

    /// The last answer to a command with this code.
    #[must_use]
    pub fn answer_to(&self, command_code: u32) -> Option<Vec<u8>> {
        let answers = self
            .shared
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        answers.get(&command_code).cloned()
    }

    /// Gives `answer` instead of the TPM's to the next command with this code.
    pub fn substitute(&self, command_code: u32, answer: Vec<u8>) {
        let mut substitutes = self
            .shared
            .substitutes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        substitutes.insert(command_code, answer);
    }

    /// Keeps the answer to the next command with this code back for a time.
    pub fn hold_answer_to(&self, command_code: u32, time: Duration) {
        let mut holds = (self.shared.holds.lock()).unwrap_or_else(PoisonError::into_inner);
        holds.insert(command_code, time);
    }

    /// Whether `bytes` have passed in either direction.
    #[must_use]
    pub fn has_seen(&self, bytes: &[u8]) -> bool {
        let passed = self
            .shared
            .passed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        passed.windows(bytes.len()).any(|window| window == bytes)
    }

    /// The codes of the commands that have passed since the last look.
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

/// Passes whole commands and whole answers on.
fn relay(mut client: &TcpStream, mut tpm: &TcpStream, shared: &Shared) -> io::Result<()> {
    loop {
        let (command, code) = frame(client)?;
        shared
            .passed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(&command);
        shared
            .commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(code);
        tpm.write_all(&command)?;
        let (mut answer, _) = frame(tpm)?;
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
            && let Some(byte) = answer.get_mut(20)
        {
            *byte ^= 1;
        }
        let substitute = shared
            .substitutes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&code);
        if let Some(substitute) = substitute {
            answer = substitute;
        }
        shared
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(code, answer.clone());
        shared
            .passed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(&answer);
        let hold = (shared.holds.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&code);
        if let Some(time) = hold {
            thread::sleep(time);
        }
        client.write_all(&answer)?;
    }
}

/// One TPM command or response: tag, size, code.
fn frame(mut from: &TcpStream) -> io::Result<(Vec<u8>, u32)> {
    let mut header = [0; 10];
    from.read_exact(&mut header)?;
    let word = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let size = usize::try_from(word(2)).unwrap_or(usize::MAX);
    if !(10..=8192).contains(&size) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no TPM frame"));
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
