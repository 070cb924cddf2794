//! Free ports on 127.0.0.1.

use std::{
    collections::HashSet,
    io,
    net::TcpListener,
    sync::{Mutex, PoisonError},
};

/// Two neighbouring ports that are free and that this process has not given away before: swtpm's clients take the control port
/// to be the data port's successor.
///
/// # Errors
/// As the system says, after many tries.
pub fn neighbours() -> io::Result<u16> {
    let (first, _) = listeners()?;
    Ok(first.local_addr()?.port())
}

/// As [`neighbours`], with somebody listening on both.
///
/// # Errors
/// As [`neighbours`].
pub fn listeners() -> io::Result<(TcpListener, TcpListener)> {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut last = io::Error::other("no tries");
    for _ in 0..100 {
        let first = TcpListener::bind(("127.0.0.1", 0))?;
        let port = first.local_addr()?.port();
        let Some(next) = port.checked_add(1) else {
            continue;
        };
        match TcpListener::bind(("127.0.0.1", next)) {
            Ok(second) => {
                let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
                let given = given.get_or_insert_default();
                if !given.contains(&port) && !given.contains(&next) {
                    given.extend([port, next]);
                    return Ok((first, second));
                }
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
