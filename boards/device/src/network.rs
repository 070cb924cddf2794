use core::net::{IpAddr, SocketAddr};
use embedded_nal_async::{AddrType, Dns, TcpConnect};

/// A network that consists of two parts, as in embassy-net.
#[derive(Debug)]
pub struct Network<T, D> {
    /// The part that opens TCP connections.
    pub tcp: T,
    /// The part that resolves names.
    pub dns: D,
}

impl<T: TcpConnect, D> TcpConnect for Network<T, D> {
    type Error = T::Error;
    type Connection<'a>
        = T::Connection<'a>
    where
        Self: 'a;

    async fn connect<'a>(&'a self, remote: SocketAddr) -> Result<T::Connection<'a>, T::Error> {
        self.tcp.connect(remote).await
    }
}

impl<T, D: Dns> Dns for Network<T, D> {
    type Error = D::Error;

    async fn get_host_by_name(&self, host: &str, address: AddrType) -> Result<IpAddr, D::Error> {
        self.dns.get_host_by_name(host, address).await
    }

    async fn get_host_by_address(
        &self,
        address: IpAddr,
        result: &mut [u8],
    ) -> Result<usize, D::Error> {
        self.dns.get_host_by_address(address, result).await
    }
}
