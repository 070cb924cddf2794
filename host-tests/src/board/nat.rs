use super::network_link::free_port;
use std::{
    io,
    net::UdpSocket,
    process::{Child, Command, Stdio},
};

/// A QEMU process without a machine that provides QEMU's user-mode network: DHCP, DNS, and the host under the address 10.0.2.2.
///
/// It needs no privileges, and is killed on drop.
pub(super) struct Nat {
    child: Child,
    /// The socket to which QEMU sends frames.
    link_side: UdpSocket,
    /// The port on which QEMU receives frames.
    port: u16,
}

impl Nat {
    /// Starts the network. With `forward`, connections to that port of 127.0.0.1 reach port 80 of the board.
    pub(super) fn start(forward: Option<u16>) -> io::Result<Self> {
        let link_side = UdpSocket::bind(("127.0.0.1", 0))?;
        let (to, port) = (link_side.local_addr()?.port(), free_port()?);
        let forward = forward.map(|port| format!(",hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:80"));
        let child = Command::new("qemu-system-arm")
            .args(["-M", "none", "-nodefaults", "-display", "none"])
            .args(["-monitor", "none", "-serial", "none"])
            .args([
                "-netdev",
                &format!("user,id=user{}", forward.unwrap_or_default()),
            ])
            .args(["-netdev", "hubport,id=inside,hubid=0,netdev=user"])
            .arg("-netdev")
            .arg(format!(
                "socket,id=link,udp=127.0.0.1:{to},localaddr=127.0.0.1:{port}"
            ))
            .args(["-netdev", "hubport,id=outside,hubid=0,netdev=link"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("qemu-system-arm: {error} (`cargo x setup` installs it)"),
                )
            })?;
        Ok(Self {
            child,
            link_side,
            port,
        })
    }

    /// Returns the socket to which QEMU sends frames, and the port on which it receives them.
    pub(super) fn port(&self) -> (UdpSocket, u16) {
        let socket = self
            .link_side
            .try_clone()
            .unwrap_or_else(|error| panic!("{error}"));
        (socket, self.port)
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
