//! Peers other than gateways: servers on 127.0.0.1 that do one thing.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// Starts a server that handles each connection in a thread of its own, and returns its port. It runs until the end of the tests.
pub(crate) fn serve(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let handle = Arc::new(handle);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let handle = Arc::clone(&handle);
            std::thread::spawn(move || handle(stream));
        }
    });
    port
}

/// A server that accepts connections and sends nothing.
pub(crate) fn silent() -> u16 {
    serve(|mut stream| {
        let _ = io::copy(&mut stream, &mut io::sink());
    })
}

/// A server that answers the client's first bytes with `answer`, and keeps the connection open.
pub(crate) fn answering(answer: &'static [u8]) -> u16 {
    serve(move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer);
        let _ = io::copy(&mut stream, &mut io::sink());
    })
}

/// A server that closes each connection after the client's first bytes.
pub(crate) fn closing() -> u16 {
    serve(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
    })
}

/// Returns a port on which nothing listens.
pub(crate) fn unused_port() -> u16 {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    // Bound to the end of the tests, and never listening: no other test gets the port.
    std::mem::forget(socket);
    port
}

/// A tunnel to a port of this host, which keeps the bytes that the server sends.
pub(crate) struct Tap {
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    pub(crate) fn start(upstream: u16) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        let port = serve(move |client| {
            let kept = Arc::clone(&kept);
            let server = TcpStream::connect(("127.0.0.1", upstream)).unwrap();
            tunnel(client, server, move |bytes| {
                kept.lock().unwrap().extend_from_slice(bytes);
            });
        });
        Self { port, received }
    }

    /// Returns the length of the longest TLS record of the server, without its header (RFC 8446 section 5.1).
    pub(crate) fn longest_record(&self) -> usize {
        let received = self.received.lock().unwrap();
        let (mut rest, mut longest) = (received.as_slice(), 0);
        while let [_, _, _, high, low, after @ ..] = rest {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            longest = longest.max(len);
            rest = after.get(len..).unwrap_or_default();
        }
        longest
    }
}

/// Copies bytes both ways until both sides have ended. Calls `see` with those of the server before they are sent on.
pub(crate) fn tunnel(mut client: TcpStream, mut server: TcpStream, see: impl Fn(&[u8])) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(len @ 1..) = server.read(&mut buffer) {
        see(&buffer[..len]);
        if client.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Write);
}
