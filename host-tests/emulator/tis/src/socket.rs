//! Access to the chip over a stream of bytes, for emulated boards.
//!
//! The first byte of a message selects its type. `00` to `3f`: the value plus one bytes follow, which are clocked, and the server
//! returns as many bytes. `80` and `81`: the chip select goes low and high. `82` and `83`: the reset pin goes low and high. `84`:
//! the server returns one byte, 1 while the interrupt pin is low and 0 otherwise. Messages that move a pin have no response.

use crate::Emulator;
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Messages that transfer no SPI bytes.
pub mod message {
    /// The chip select goes low.
    pub const SELECT: u8 = 0x80;
    /// The chip select goes high.
    pub const DESELECT: u8 = 0x81;
    /// The reset pin goes low.
    pub const RESET: u8 = 0x82;
    /// The reset pin goes high.
    pub const RUN: u8 = 0x83;
    /// Requests the level of the interrupt pin.
    pub const INTERRUPT: u8 = 0x84;
}

/// Serves one board until the stream ends.
///
/// # Errors
/// The error of the stream; [`io::ErrorKind::InvalidData`] for an unknown message.
pub fn serve(mut stream: impl Read + Write, emulator: &Emulator) -> io::Result<()> {
    let mut kind = [0];
    loop {
        if stream.read(&mut kind)? == 0 {
            return Ok(());
        }
        match kind {
            [message::SELECT] => emulator.inner().select(true),
            [message::DESELECT] => emulator.inner().select(false),
            [message::RESET] => emulator.inner().hold_in_reset(true),
            [message::RUN] => emulator.inner().hold_in_reset(false),
            [message::INTERRUPT] => {
                let low = u8::from(emulator.inner().interrupts());
                stream.write_all(&[low])?;
            }
            [len @ 0..=0x3f] => {
                let mut bytes = [0; 64];
                let bytes = &mut bytes[..=usize::from(len)];
                stream.read_exact(bytes)?;
                {
                    let mut inner = emulator.inner();
                    for byte in bytes.iter_mut() {
                        *byte = inner.clock(*byte);
                    }
                }
                stream.write_all(bytes)?;
            }
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "unknown message type on the SPI stream",
                ));
            }
        }
    }
}

/// A server for the chip at a port of 127.0.0.1. Its thread ends when the server is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    /// The board that is being served.
    board: Mutex<Option<TcpStream>>,
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Option<TcpStream>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Starts a server at a free port. It serves one board at a time.
    ///
    /// # Errors
    /// The system's error if the port cannot be opened.
    pub fn start(emulator: Emulator) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming().flatten() {
                    *shared.board() = stream.try_clone().ok();
                    if shared.ended.load(Ordering::SeqCst) {
                        break;
                    }
                    let _ = stream.set_nodelay(true);
                    let _ = serve(stream, &emulator);
                    // The cloned stream would keep the connection open.
                    shared.board().take();
                    emulator.inner().select(false);
                }
            }
        });
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    /// Returns the address at which the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Closes the connection of the current board, or wakes the thread that waits for one.
        if let Some(board) = self.shared.board().take() {
            let _ = board.shutdown(Shutdown::Both);
        }
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A blocking client of a [`Server`], for hosts.
#[derive(Debug)]
pub struct Client(TcpStream);

impl Client {
    /// Connects to a [`Server`].
    ///
    /// # Errors
    /// The system's error if the connection fails.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends a message that moves a pin.
    ///
    /// # Errors
    /// The error of the stream.
    pub fn send(&mut self, message: u8) -> io::Result<()> {
        self.0.write_all(&[message])
    }

    /// Clocks bytes and replaces them with the bytes that the chip sends.
    ///
    /// # Errors
    /// The error of the stream.
    pub fn transfer(&mut self, words: &mut [u8]) -> io::Result<()> {
        for chunk in words.chunks_mut(64) {
            let len = u8::try_from(chunk.len() - 1).unwrap_or(0x3f);
            self.0.write_all(&[&[len], &*chunk].concat())?;
            self.0.read_exact(chunk)?;
        }
        Ok(())
    }
}

impl embedded_hal::spi::ErrorType for Client {
    type Error = WireError;
}

impl embedded_hal::spi::SpiDevice for Client {
    fn transaction(
        &mut self,
        operations: &mut [embedded_hal::spi::Operation<'_, u8>],
    ) -> Result<(), WireError> {
        use embedded_hal::spi::Operation;
        let run = || {
            self.send(message::SELECT)?;
            for operation in operations {
                match operation {
                    Operation::Read(words) => {
                        words.fill(0);
                        self.transfer(words)?;
                    }
                    Operation::Write(words) => self.transfer(&mut words.to_vec())?,
                    Operation::TransferInPlace(words) => self.transfer(words)?,
                    Operation::Transfer(read, write) => {
                        let mut both = write.to_vec();
                        both.resize(read.len().max(write.len()), 0);
                        self.transfer(&mut both)?;
                        read.copy_from_slice(&both[..read.len()]);
                    }
                    Operation::DelayNs(_) => {}
                }
            }
            self.send(message::DESELECT)
        };
        run().map_err(|error: io::Error| WireError(error.kind()))
    }
}

/// The error of [`Client`]: the stream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireError(pub io::ErrorKind);

impl embedded_hal::spi::Error for WireError {
    fn kind(&self) -> embedded_hal::spi::ErrorKind {
        embedded_hal::spi::ErrorKind::Other
    }
}
