//! Free ports on 127.0.0.1.

use std::{
    collections::HashSet,
    io,
    net::TcpListener,
    sync::{Mutex, PoisonError},
};

/// Returns the lower of two adjacent free ports that this module has not returned before in this process.
///
/// Clients of swtpm expect the control port to be the successor of the data port.
///
/// # Errors
/// Returns the system's error if no pair of free ports is found in 100 attempts.
pub fn neighbours() -> io::Result<u16> {
    let (first, _) = listeners()?;
    Ok(first.local_addr()?.port())
}

/// Returns listeners on two adjacent ports, the lower port first, that this module has not returned before in this process.
///
/// # Errors
/// Returns the system's error if no pair of free ports is found in 100 attempts.
pub fn listeners() -> io::Result<(TcpListener, TcpListener)> {
    static RETURNED: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut last_error = io::Error::other("no two adjacent ports are free");
    for _ in 0..100 {
        let first = TcpListener::bind(("127.0.0.1", 0))?;
        let port = first.local_addr()?.port();
        let Some(next) = port.checked_add(1) else {
            continue;
        };
        match TcpListener::bind(("127.0.0.1", next)) {
            Ok(second) => {
                let mut returned = RETURNED.lock().unwrap_or_else(PoisonError::into_inner);
                let returned = returned.get_or_insert_default();
                if !returned.contains(&port) && !returned.contains(&next) {
                    returned.extend([port, next]);
                    return Ok((first, second));
                }
            }
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}
