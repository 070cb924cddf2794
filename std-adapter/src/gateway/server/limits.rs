use std::time::Duration;

/// The limits on connections, times and lengths that a server enforces on its clients.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// The maximum number of connections at a time; 4,096 by default. For a further one, the connection that has been idle for
    /// longest is closed. A connection with a request in progress is not idle. If no connection is idle, the further one is
    /// closed.
    pub connections: usize,
    /// The maximum number of connections at a time from one address, enforced in the same way; 512 by default. IPv6 addresses
    /// with the same first 64 bits count as one. Raise it if many clients share an address.
    pub connections_per_address: usize,
    /// The number of connections that are accepted in a second; 0, the default, stands for any number. Further ones wait in the system's queue.
    pub handshakes_per_second: u32,
    /// The number of connections that are accepted from one address in a second, counted as for
    /// [`Limits::connections_per_address`]; 0 stands for any number, and 500 is the default. Further ones are closed. Raise it if many clients
    /// share an address.
    pub handshakes_per_second_and_address: u32,
    /// The time limit for a TLS handshake; 10 seconds by default.
    pub handshake: Duration,
    /// The time limit for the head of an HTTP/1.1 request; 90 seconds by default. It starts when the connection becomes idle, so
    /// a connection that is kept alive is closed after the shorter of `head` and `idle`.
    pub head: Duration,
    /// The maximum length of the head of a request, in bytes; 65,536 by default, and 8,192 at least. A longer one gets a response with status 431.
    /// Blessings may take a third of it.
    pub head_len: usize,
    /// The maximum time between two pieces of a request body; 30 seconds by default. After it, the body ends with an error.
    pub body: Duration,
    /// The maximum time in which a client may read nothing of a response; 30 seconds by default. After it, the connection is
    /// closed.
    pub response: Duration,
    /// The time without a request after which a connection is closed; 90 seconds by default, so that a
    /// device that sends something every minute keeps its connection. Pings do not count as requests.
    pub idle: Duration,
    /// The maximum length of a path with its query, in bytes; 8,192 by default. Longer ones get a response with status 414.
    pub uri_len: usize,
    /// The time in which requests in progress must finish when the server shuts down; 10 seconds by default. After it, they are
    /// aborted.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 512,
            handshakes_per_second: 0,
            handshakes_per_second_and_address: 500,
            head_len: 64 * 1024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(90),
            body: Duration::from_secs(30),
            response: Duration::from_secs(30),
            idle: Duration::from_secs(90),
            uri_len: 8192,
            shutdown: Duration::from_secs(10),
        }
    }
}
