use std::time::Duration;

/// Limits on the connections and the time that clients may take of a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// The most connections at a time, 4,096. For a further one the connection that has been idle for longest is closed; one that has a
    /// request under way is not idle. If none is idle, the further one is closed.
    pub connections: usize,
    /// The most connections at a time from one address, 512, in the same way. Of IPv6 the first 64 bits count. Raise it where many clients
    /// share an address.
    pub connections_per_address: usize,
    /// The time for a TLS handshake, 10 seconds.
    pub handshake: Duration,
    /// The time for the head of a request in HTTP/1.1, 60 seconds. It begins when the connection becomes idle, so that the shorter of this
    /// and `idle` ends a connection that is kept alive.
    pub head: Duration,
    /// The time between two pieces of a request's body, 30 seconds; then the body ends in an error.
    pub body: Duration,
    /// The time in which a client must take some of a response, 30 seconds; then its connection is closed.
    pub response: Duration,
    /// The time without a request after which a connection is closed, 60 seconds. Pings do not count.
    pub idle: Duration,
    /// The longest path with query, 8,192 bytes; longer ones are answered 414.
    pub uri_len: usize,
    /// The time that requests have to finish when the server is told to stop, 10 seconds; then they are cut off.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 512,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(60),
            body: Duration::from_secs(30),
            response: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            uri_len: 8192,
            shutdown: Duration::from_secs(10),
        }
    }
}
