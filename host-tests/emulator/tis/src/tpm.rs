use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// What computes: takes a command and gives a response.
pub trait Computes: Send {
    /// Runs one command.
    ///
    /// # Errors
    /// If it cannot be reached.
    fn execute(&mut self, command: &[u8]) -> io::Result<Vec<u8>>;

    /// Power off and on.
    ///
    /// # Errors
    /// If it cannot be reached.
    fn reset(&mut self) -> io::Result<()>;
}

/// A running swtpm: one connection to its data port, which speaks raw commands and responses.
#[derive(Debug)]
pub struct Swtpm {
    data: TcpStream,
    port: u16,
}

/// The control channel's CMD_INIT.
const INIT: u32 = 2;

impl Swtpm {
    /// The swtpm at this data port of 127.0.0.1, with the control port next to it.
    ///
    /// # Errors
    /// If nobody is there.
    pub fn connect(port: u16) -> io::Result<Self> {
        let data = TcpStream::connect(("127.0.0.1", port))?;
        data.set_nodelay(true)?;
        // Another client may have it; this one waits no longer than a test would.
        data.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { data, port })
    }
}

impl Computes for Swtpm {
    fn execute(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        self.data.write_all(command)?;
        let mut response = vec![0; 10];
        self.data.read_exact(&mut response)?;
        let size = u32::from_be_bytes([response[2], response[3], response[4], response[5]]);
        let size = usize::try_from(size).unwrap_or(0);
        if !(10..=8192).contains(&size) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no response"));
        }
        response.resize(size, 0);
        self.data.read_exact(&mut response[10..])?;
        Ok(response)
    }

    fn reset(&mut self) -> io::Result<()> {
        let control = self
            .port
            .checked_add(1)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let mut control = TcpStream::connect(("127.0.0.1", control))?;
        control.write_all(&[INIT.to_be_bytes(), [0; 4]].concat())?;
        let mut result = [0; 4];
        control.read_exact(&mut result)?;
        match u32::from_be_bytes(result) {
            0 => Ok(()),
            code => Err(io::Error::other(format!("swtpm says {code} to a reset"))),
        }
    }
}
