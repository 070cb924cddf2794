use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// A TPM that executes the commands which the emulated chip receives.
pub trait Computes: Send {
    /// Executes one command and returns the response.
    ///
    /// # Errors
    /// An error if the TPM cannot be reached.
    fn execute(&mut self, command: &[u8]) -> io::Result<Vec<u8>>;

    /// Resets the TPM, as by a power cycle.
    ///
    /// # Errors
    /// An error if the TPM cannot be reached.
    fn reset(&mut self) -> io::Result<()>;
}

/// A connection to the data port of a running swtpm, which exchanges raw commands and responses.
#[derive(Debug)]
pub struct Swtpm {
    data: TcpStream,
    port: u16,
}

/// CMD_INIT of the control channel.
const INIT: u32 = 2;

impl Swtpm {
    /// Connects to the swtpm at this data port of 127.0.0.1. Its control port must be the next one.
    ///
    /// # Errors
    /// The system's error if no swtpm listens at the port.
    pub fn connect(port: u16) -> io::Result<Self> {
        let data = TcpStream::connect(("127.0.0.1", port))?;
        data.set_nodelay(true)?;
        // Another client may be connected to the swtpm: do not wait for it longer than a test would.
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
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("swtpm announced a response of {size} bytes"),
            ));
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
            code => Err(io::Error::other(format!(
                "swtpm failed to reset, with code {code}"
            ))),
        }
    }
}
