//! Free ports on 127.0.0.1.

use std::{io, net::TcpListener};

/// Two neighbouring ports that were free a moment ago: swtpm's clients take the control port to be the data port's successor.
///
/// # Errors
/// As the system says, after many tries.
pub fn neighbours() -> io::Result<u16> {
    let mut last = io::Error::other("no tries");
    for _ in 0..100 {
        let first = TcpListener::bind(("127.0.0.1", 0))?;
        let port = first.local_addr()?.port();
        match port
            .checked_add(1)
            .map(|next| TcpListener::bind(("127.0.0.1", next)))
        {
            Some(Ok(_)) => return Ok(port),
            Some(Err(error)) => last = error,
            None => {}
        }
    }
    Err(last)
}
