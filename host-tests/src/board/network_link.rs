use std::{
    io,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// The network link between a board and the NAT, in which one UDP datagram is one Ethernet frame. It can be unplugged and can lose
/// frames.
pub struct NetworkLink {
    board: UdpSocket,
    board_port: u16,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    plugged_in: AtomicBool,
    /// The interval at which a frame is lost; 0 loses none.
    loses_one_in: AtomicU32,
    frames: AtomicU32,
}

impl NetworkLink {
    /// Starts a link between a board and the NAT that sends to `nat_side` and receives on `nat_port`.
    pub(super) fn start(
        (nat_side, nat_port): (UdpSocket, u16),
        plugged_in: bool,
    ) -> io::Result<Self> {
        let board = UdpSocket::bind(("127.0.0.1", 0))?;
        let board_port = free_port()?;
        let shared = Arc::new(Shared::default());
        shared.plugged_in.store(plugged_in, Ordering::SeqCst);
        let threads = [
            (board.try_clone()?, nat_side.try_clone()?, nat_port),
            (nat_side, board.try_clone()?, board_port),
        ]
        .map(|(from, to, port)| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.carry(&from, &to, port))
        });
        Ok(Self {
            board,
            board_port,
            shared,
            threads: threads.into(),
        })
    }

    /// Returns the port to which the board must send its frames.
    pub(super) fn board_side(&self) -> u16 {
        self.board.local_addr().map_or(0, |address| address.port())
    }

    /// Returns the port on which the board must listen for frames.
    pub(super) fn board_port(&self) -> u16 {
        self.board_port
    }

    /// Plugs the link in.
    pub fn plug_in(&self) {
        self.shared.plugged_in.store(true, Ordering::SeqCst);
    }

    /// Unplugs the link: every frame is lost.
    pub fn pull_out(&self) {
        self.shared.plugged_in.store(false, Ordering::SeqCst);
    }

    /// Makes the link lose every `n`th frame, counted over both directions; 0 loses none.
    pub fn lose_one_in(&self, n: u32) {
        self.shared.loses_one_in.store(n, Ordering::SeqCst);
    }

    /// Returns the number of frames of both directions up to now, including lost ones.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.shared.frames.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn carry(&self, from: &UdpSocket, to: &UdpSocket, port: u16) {
        let _ = from.set_read_timeout(Some(Duration::from_millis(200)));
        let mut frame = [0; 2048];
        while !self.ended.load(Ordering::SeqCst) {
            let Ok((len, _)) = from.recv_from(&mut frame) else {
                continue;
            };
            let number = self.frames.fetch_add(1, Ordering::SeqCst);
            let is_lost = number
                .checked_rem(self.loses_one_in.load(Ordering::SeqCst))
                .is_some_and(|rest| rest == 0);
            if self.plugged_in.load(Ordering::SeqCst) && !is_lost {
                let _ = to.send_to(frame.get(..len).unwrap_or_default(), ("127.0.0.1", port));
            }
        }
    }
}

impl Drop for NetworkLink {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Returns a UDP port of 127.0.0.1 that is free at the moment.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
