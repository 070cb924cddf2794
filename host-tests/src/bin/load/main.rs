//! Load and faults: measures the gateway as a process, beside other servers, and under attack.
//!
//! Figures are ratios within one run, of processor time where they can be: other work on the machine changes the time that passes, and hardly
//! the time that a process uses. The program starts itself again for the servers that it compares with, so that each has a process.
#![allow(
    clippy::print_stdout,
    reason = "the output is the result of the program"
)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a panic of this program harms no user"
)]

mod answer_times;
mod attackers;
mod device;
mod memory;
mod mixed;
mod process;
mod servers;
mod site;
mod soak;
mod throughput;

use chanbind_host_tests::figures::{Figure, json};
use std::error::Error;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let figures = match *arguments.as_slice() {
        ["upstream"] => return servers::upstream(0).await,
        ["upstream", port] => return servers::upstream(port.parse()?).await,
        ["plain-proxy", certificate, key, port] => {
            return servers::plain_proxy(certificate, key, port.parse()?).await;
        }
        ["bare-tls", certificate, key] => return servers::bare_tls(certificate, key).await,
        // For a profiler: requests on each of some connections, one after another, to a gateway that runs already.
        ["requests", ca, port, connections, requests] => {
            let dial = device::Dial::new(&std::fs::read_to_string(ca)?, port.parse()?)?;
            for _ in 0..connections.parse()? {
                let mut device = dial.connect().await?;
                for _ in 0..requests.parse()? {
                    device.succeed().await?;
                }
            }
            return Ok(());
        }
        ["--memory"] => memory::figures().await?,
        ["--throughput"] => throughput::figures().await?,
        ["--mixed"] => mixed::figures().await?,
        ["--soak", minutes] => soak::figures(minutes.parse()?).await?,
        ["--answer-times"] => answer_times::figures().await?,
        ["--gateway"] => {
            let all = [
                memory::figures().await?,
                throughput::figures().await?,
                mixed::figures().await?,
                answer_times::figures().await?,
            ];
            all.concat()
        }
        _ => {
            return Err(
                "usage: load --gateway|--memory|--throughput|--mixed|--answer-times|--soak MINUTES"
                    .into(),
            );
        }
    };
    println!("{}", json(&figures));
    Ok(())
}
