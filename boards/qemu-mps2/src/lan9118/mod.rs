//! An embassy-net driver for the SMSC LAN9118 Ethernet chip.
//!
//! Frames pass through the FIFOs of the chip word by word. Values from the chip are not trusted: a frame of an impossible length
//! is dropped, and every wait is bounded.

mod chip;

use chip::{BUFFER_LEN, CHECKSUM_LEN};
use core::task::Context;
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use static_cell::ConstStaticCell;

/// The length of the longest frame without its checksum.
const MAX_FRAME_LEN: u16 = 1514;
/// The length of an Ethernet header.
const HEADER_LEN: usize = 14;
/// The number of bad frames that are dropped in a row before the driver yields to other tasks.
const BAD_FRAMES: u32 = 16;

/// The task that waits for frames.
static WAKER: AtomicWaker = AtomicWaker::new();
static BUFFERS: ConstStaticCell<[[u8; BUFFER_LEN]; 2]> = ConstStaticCell::new([[0; BUFFER_LEN]; 2]);

/// The reason why the chip cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
#[non_exhaustive]
pub enum Error {
    /// There is no LAN9118: QEMU must run with `-nic user,model=lan9118`.
    NoChip {
        /// The value of BYTE_TEST.
        actual: u32,
    },
    /// The chip did not complete an operation.
    Busy,
    /// The chip has been opened before.
    AlreadyOpen,
}

/// A started LAN9118 chip.
pub struct Lan9118 {
    address: [u8; 6],
    received: &'static mut [u8; BUFFER_LEN],
    to_send: &'static mut [u8; BUFFER_LEN],
}

impl Lan9118 {
    /// Resets and starts the chip, with the MAC address that QEMU has set. Can be called once.
    ///
    /// # Errors
    /// [`Error`] if there is no LAN9118, it does not respond in time, or it has been opened before.
    pub fn open() -> Result<Self, Error> {
        chip::identify()?;
        let [received, to_send] = BUFFERS.try_take().ok_or(Error::AlreadyOpen)?;
        Ok(Self {
            address: chip::start()?,
            received,
            to_send,
        })
    }

    /// Reads the next valid frame from the chip and returns its length. If there is no frame, or no space for a response to it,
    /// the task is woken when it should try again.
    fn next_frame(&mut self, context: &Context<'_>) -> Option<usize> {
        for _ in 0..BAD_FRAMES {
            if !chip::has_frame() {
                WAKER.register(context.waker());
                chip::unmask_interrupt();
                // A frame received before the interrupt was enabled does not cause one.
                if !chip::has_frame() {
                    return None;
                }
            }
            if !chip::has_space() {
                break;
            }
            if let Some(len) = chip::frame_len()
                && let Some(len_without_checksum) = len.checked_sub(CHECKSUM_LEN)
                && len_without_checksum >= HEADER_LEN
                && let Some(words) = self.received.get_mut(..len.next_multiple_of(4))
            {
                for word in words.as_chunks_mut().0 {
                    *word = chip::read_word();
                }
                return Some(len_without_checksum);
            }
            if chip::drop_frame().is_err() {
                break;
            }
        }
        // Frames may be left.
        context.waker().wake_by_ref();
        None
    }
}

/// Handles the interrupt of the chip, which stays asserted as long as a frame is left: it is masked until the driver finds none.
pub(crate) fn on_interrupt() {
    chip::mask_interrupt();
    WAKER.wake();
}

impl Driver for Lan9118 {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, ToSend<'_>)> {
        let len = self.next_frame(context)?;
        let frame = self.received.get_mut(..len)?;
        Some((Received(frame), ToSend(self.to_send)))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<ToSend<'_>> {
        if !chip::has_space() {
            // Rare: QEMU sends a frame as soon as its last word is written.
            context.waker().wake_by_ref();
            return None;
        }
        Some(ToSend(self.to_send))
    }

    /// Returns the link state. embassy-net polls it; this driver uses no interrupt for it.
    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        match chip::is_link_up() {
            Ok(true) => LinkState::Up,
            _ => LinkState::Down,
        }
    }

    /// Returns the capabilities, without a burst size: with a burst of one frame, the TCP window would be one segment.
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MAX_FRAME_LEN.into();
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A received frame.
pub struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// A permit to send a frame of up to 1514 bytes.
pub struct ToSend<'a>(&'a mut [u8; BUFFER_LEN]);

impl TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        // embassy-net does not request more than the capabilities allow.
        let len = u16::try_from(len).map_or(MAX_FRAME_LEN, |len| len.min(MAX_FRAME_LEN));
        let frame = self.0.get_mut(..len.into()).unwrap_or_default();
        let result = f(frame);
        chip::begin_frame(len);
        let (words, _) = self.0.as_chunks();
        for word in words.iter().take(usize::from(len).div_ceil(4)) {
            chip::write_word(*word);
        }
        result
    }
}
