//! Clients that mean harm, each for as long as its task lives.

use crate::{Outcome, device::Dial};
use std::{convert::Infallible, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

/// The time between two actions of an attacker, as between two requests of an honest device.
pub(crate) const PACE: Duration = Duration::from_millis(500);
/// The time that an attacker holds what it has got.
const HOLD: Duration = Duration::from_secs(5);

/// Starts attackers, the kinds by turns. Returns their tasks.
pub(crate) fn start(dial: &Dial, number: usize) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for at in 0..number {
        let dial = dial.clone();
        tasks.spawn(async move {
            // Not all in step.
            sleep(PACE.mul_f64(crate::site::share(at, number))).await;
            loop {
                // Being refused is no reason to stop.
                let _: Outcome<Infallible> = match at % 6 {
                    0 => wrong_key(&dial).await,
                    1 => relay(&dial).await,
                    2 => garbage(&dial).await,
                    3 => slow_head(&dial).await,
                    4 => idle_http2(&dial).await,
                    _ => unread(&dial).await,
                };
                sleep(PACE).await;
            }
        });
    }
    tasks
}

/// Sends passwords of a wrong key, on one connection.
async fn wrong_key(dial: &Dial) -> Outcome<Infallible> {
    let mut device = dial
        .clone()
        .client("client1", b"another key")
        .connect()
        .await?;
    loop {
        if device.exchange().await? == 200 {
            return Err(admitted("a wrong key"));
        }
        sleep(PACE).await;
    }
}

/// Sends the password of another connection.
async fn relay(dial: &Dial) -> Outcome<Infallible> {
    let stolen = dial.connect().await?.request;
    loop {
        let mut device = dial.connect().await?;
        device.request.clone_from(&stolen);
        if device.exchange().await? == 200 {
            return Err(admitted("a relayed password"));
        }
        sleep(PACE).await;
    }
}

/// An attack that worked ends the run.
fn admitted(attack: &str) -> Box<dyn std::error::Error + Send + Sync> {
    eprintln!("{attack} was admitted");
    std::process::exit(1)
}

/// Sends bytes that are not TLS.
async fn garbage(dial: &Dial) -> Outcome<Infallible> {
    loop {
        let mut stream = TcpStream::connect(("127.0.0.1", dial.port)).await?;
        let _ = stream.write_all(&[0x5a; 2000]).await;
        let _ = timeout(HOLD, stream.read_to_end(&mut Vec::new())).await;
        sleep(PACE).await;
    }
}

/// Sends the head of a request byte by byte.
async fn slow_head(dial: &Dial) -> Outcome<Infallible> {
    let mut stream = dial.tls().await?;
    for byte in b"GET /get HTTP/1.1\r\nx: "
        .iter()
        .chain(std::iter::repeat(&b'x'))
    {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        sleep(PACE).await;
    }
    Err("the head has an end".into())
}

/// Opens HTTP/2, and says nothing further.
async fn idle_http2(dial: &Dial) -> Outcome<Infallible> {
    let dial = dial.clone().alpn(b"h2");
    loop {
        let mut stream = dial.tls().await?;
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await?;
        stream.flush().await?;
        sleep(HOLD).await;
    }
}

/// Asks for a long response with a valid proof, and does not read it.
async fn unread(dial: &Dial) -> Outcome<Infallible> {
    let dial = dial.clone().path("/large");
    loop {
        let mut device = dial.connect().await?;
        device.stream.write_all(&device.request).await?;
        device.stream.flush().await?;
        sleep(HOLD).await;
    }
}
