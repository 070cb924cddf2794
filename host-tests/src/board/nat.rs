use super::spi_link::free_port;
use std::{
    io,
    net::UdpSocket,
    process::{Child, Command, Stdio},
};

/// QEMU's user-mode network without a machine: DHCP, DNS, and the host as 10.0.2.2, without privileges; ended when dropped.
pub(super) struct Nat {
    child: Child,
    /// Where it sends frames to.
    cable_side: UdpSocket,
    port: u16,
}

impl Nat {
    pub(super) fn start() -> io::Result<Self> {
        let cable_side = UdpSocket::bind(("127.0.0.1", 0))?;
        let (to, port) = (cable_side.local_addr()?.port(), free_port()?);
        let child = Command::new("qemu-system-arm")
            .args(["-M", "none", "-nodefaults", "-display", "none"])
            .args(["-monitor", "none", "-serial", "none"])
            .args(["-netdev", "user,id=user"])
            .args(["-netdev", "hubport,id=inside,hubid=0,netdev=user"])
            .arg("-netdev")
            .arg(format!(
                "socket,id=spi_link,udp=127.0.0.1:{to},localaddr=127.0.0.1:{port}"
            ))
            .args(["-netdev", "hubport,id=outside,hubid=0,netdev=spi_link"])
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
            cable_side,
            port,
        })
    }

    /// The socket that it sends to, and the port that it receives at.
    pub(super) fn port(&self) -> (UdpSocket, u16) {
        let socket = self
            .cable_side
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
