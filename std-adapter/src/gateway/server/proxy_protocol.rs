//! The PROXY protocol, version 2, by which a load balancer names the client of a connection.

use ppp::v2::{Addresses, Command, Header};
use std::{io, net::SocketAddr};
use tokio::{io::AsyncReadExt, net::TcpStream};

/// The length of the part that says how long the rest is, in bytes.
const FIXED: usize = 16;

/// The longest rest that is read, in bytes: addresses, and what the load balancer adds.
const MAX_REST: usize = 4096;

/// Reads the header. Returns `None` for a connection of the load balancer's own (LOCAL), and for addresses that are not of TCP.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    let mut bytes = vec![0; FIXED];
    stream.read_exact(&mut bytes).await?;
    let len = match bytes.as_slice() {
        [
            b'\r',
            b'\n',
            b'\r',
            b'\n',
            0,
            b'\r',
            b'\n',
            b'Q',
            b'U',
            b'I',
            b'T',
            b'\n',
            _,
            _,
            high,
            low,
        ] => usize::from(u16::from_be_bytes([*high, *low])),
        _ => {
            return Err(invalid(
                "the connection does not begin with version 2 of it",
            ));
        }
    };
    if len > MAX_REST {
        return Err(invalid("the header is too long"));
    }
    bytes.resize(FIXED + len, 0);
    let rest = bytes.get_mut(FIXED..).unwrap_or_default();
    stream.read_exact(rest).await?;
    let header = Header::try_from(bytes.as_slice()).map_err(|error| invalid(&error.to_string()))?;
    if header.command == Command::Local {
        return Ok(None);
    }
    Ok(match header.addresses {
        Addresses::IPv4(addresses) => {
            Some((addresses.source_address, addresses.source_port).into())
        }
        Addresses::IPv6(addresses) => {
            Some((addresses.source_address, addresses.source_port).into())
        }
        Addresses::Unspecified | Addresses::Unix(_) => None,
    })
}
