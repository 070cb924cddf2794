#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod application;
mod backoff;
mod board;
mod device;
mod event;
mod generator;
pub mod http;
mod in_place;
mod network;
mod platform;
mod proof;
mod session;
mod signatures;
#[cfg(feature = "mutual")]
pub mod technician;
mod tpm;
#[cfg(feature = "blessing-channel")]
pub mod vanadium;

pub use application::{Application, Outgoing, Poll};
pub use backoff::Backoff;
pub use board::{StatusLed, mac_address};
pub use chanbind_core as protocol;
pub use chanbind_device_config as config;
pub use device::{Device, Memory, RECORD_LEN};
pub use event::{ChipError, Event, Failure, Step};
pub use generator::Generator;
pub use network::Network;
pub use platform::{Clock, NoClock, Observer, Parts, Platform, TransportError};
pub use proof::ProofError;
pub use session::{Session, Slot, TlsStream};
pub use tpm::find_tpm;

/// Returns the configuration in the image: that of the file which `CHANBIND_CONFIG` named when the image was built, or one that was
/// patched in since. For boards whose build script calls `chanbind_device_config::build::for_board`.
#[macro_export]
macro_rules! config_of_image {
    () => {{
        static CONFIG: [u8; $crate::config::CONFIG_LEN] =
            *include_bytes!(concat!(env!("OUT_DIR"), "/config.bin"));
        // The bytes may have been replaced since the compiler saw them.
        core::hint::black_box(&CONFIG).as_slice()
    }};
}
