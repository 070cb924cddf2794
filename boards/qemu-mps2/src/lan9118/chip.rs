//! The chip's registers, and what is done with them (LAN9118 data sheet, chapter 5).

use super::Error;
use crate::registers::{ETHERNET, Interrupt};

/// The longest frame with its checksum, rounded up: what must fit the transmit FIFO.
pub(super) const BUFFER_LEN: usize = 1536;
/// Bytes of the checksum that follows a received frame.
pub(super) const CHECKSUM_LEN: usize = 4;
/// Bytes of the two commands before a frame to be sent.
const COMMANDS_LEN: u32 = 8;
/// Looks at a register before the chip is given up; a few milliseconds.
const TRIES: u32 = 10_000;

/// Offsets of the chip's registers.
mod register {
    pub(super) const RX_DATA: u16 = 0x00;
    pub(super) const TX_DATA: u16 = 0x20;
    pub(super) const RX_STATUS: u16 = 0x40;
    pub(super) const TX_STATUS: u16 = 0x48;
    pub(super) const IRQ_CFG: u16 = 0x54;
    pub(super) const INT_STS: u16 = 0x58;
    pub(super) const INT_EN: u16 = 0x5c;
    pub(super) const BYTE_TEST: u16 = 0x64;
    pub(super) const FIFO_INT: u16 = 0x68;
    pub(super) const RX_CFG: u16 = 0x6c;
    pub(super) const TX_CFG: u16 = 0x70;
    pub(super) const HW_CFG: u16 = 0x74;
    pub(super) const RX_DP_CTRL: u16 = 0x78;
    pub(super) const RX_FIFO_INF: u16 = 0x7c;
    pub(super) const TX_FIFO_INF: u16 = 0x80;
    pub(super) const MAC_CMD: u16 = 0xa4;
    pub(super) const MAC_DATA: u16 = 0xa8;
    pub(super) const AFC_CFG: u16 = 0xac;
}

/// Registers of the MAC, behind MAC_CMD and MAC_DATA.
mod mac {
    pub(super) const CR: u32 = 1;
    pub(super) const ADDRH: u32 = 2;
    pub(super) const ADDRL: u32 = 3;
    pub(super) const MII_ACC: u32 = 6;
    pub(super) const MII_DATA: u32 = 7;
}

/// BYTE_TEST, if bus and byte order are right.
const BYTE_ORDER: u32 = 0x8765_4321;
/// HW_CFG: software reset, as long as it reads so.
const RESET: u32 = 1 << 0;
/// HW_CFG: 5 KiB of the memory are for sending; and a bit that must be one.
const TX_FIFO_SIZE: u32 = 0x0005_0000 | 1 << 20;
/// AFC_CFG: the data sheet's value, for flow control.
const FLOW_CONTROL: u32 = 0x006e_3740;
/// IRQ_CFG: the pin is enabled, active high, push-pull. Otherwise the line idles asserted.
const IRQ_PIN: u32 = 1 << 8 | 1 << 4 | 1 << 0;
/// FIFO_INT: interrupt as soon as one frame is there.
const ONE_FRAME: u32 = 0x4800_0000;
/// INT_STS, INT_EN: a frame is there (RSFL).
const FRAME_RECEIVED: u32 = 1 << 3;
/// TX_CFG: the sender is on.
const TX_ON: u32 = 1 << 1;
/// RX_DP_CTRL: drop the frame, as long as it reads so.
const FAST_FORWARD: u32 = 1 << 31;
/// RX status: the frame is damaged.
const RX_ERROR: u32 = 1 << 15;
/// MAC_CMD: at work.
const MAC_BUSY: u32 = 1 << 31;
/// MAC_CMD: read, not write.
const MAC_READ: u32 = 1 << 30;
/// MAC CR: full duplex, sends, receives.
const MAC_ON: u32 = 1 << 20 | 1 << 3 | 1 << 2;
/// MII_ACC: the PHY inside the chip, its number one.
const PHY: u32 = 1 << 11;
const MII_WRITE: u32 = 1 << 1;
const MII_BUSY: u32 = 1 << 0;
/// The PHY's control register, and there: negotiate anew.
const PHY_CONTROL: u32 = 0;
const NEGOTIATE: u32 = 0x1200;
/// The PHY's status register, and there: the link is up.
const PHY_STATUS: u32 = 1;
const LINK_UP: u32 = 1 << 2;
/// Transmit command A: the whole frame in one piece.
const WHOLE_FRAME: u32 = 1 << 13 | 1 << 12;

/// Whether there is a LAN9118: else what BYTE_TEST reads.
pub(super) fn identify() -> Result<(), Error> {
    match ETHERNET.read(register::BYTE_TEST) {
        BYTE_ORDER => Ok(()),
        actual => Err(Error::NoChip { actual }),
    }
}

/// Resets the chip and starts it; its MAC address.
pub(super) fn start() -> Result<[u8; 6], Error> {
    ETHERNET.write(register::HW_CFG, RESET);
    wait_while(register::HW_CFG, RESET)?;
    ETHERNET.write(register::HW_CFG, TX_FIFO_SIZE);
    ETHERNET.write(register::AFC_CFG, FLOW_CONTROL);
    // QEMU has put it there; on a real chip it comes from an EEPROM.
    let [a, b, c, d] = mac_read(mac::ADDRL)?.to_le_bytes();
    let [e, f, ..] = mac_read(mac::ADDRH)?.to_le_bytes();
    phy_write(PHY_CONTROL, NEGOTIATE)?;
    ETHERNET.write(register::IRQ_CFG, IRQ_PIN);
    ETHERNET.write(register::FIFO_INT, ONE_FRAME);
    ETHERNET.write(register::INT_STS, u32::MAX);
    unmask_interrupt();
    ETHERNET.write(register::RX_CFG, 0);
    ETHERNET.write(register::TX_CFG, TX_ON);
    mac_write(mac::CR, MAC_ON)?;
    Interrupt::Ethernet.enable();
    Ok([a, b, c, d, e, f])
}

/// Has frames that come from now on interrupt.
pub(super) fn unmask_interrupt() {
    ETHERNET.write(register::INT_STS, FRAME_RECEIVED);
    ETHERNET.write(register::INT_EN, FRAME_RECEIVED);
}

/// Has no frame interrupt.
pub(super) fn mask_interrupt() {
    ETHERNET.write(register::INT_EN, 0);
}

/// Whether a frame has come.
pub(super) fn has_frame() -> bool {
    ETHERNET.read(register::RX_FIFO_INF) >> 16 & 0xff != 0
}

/// The length of the next frame, checksum included; none if it is damaged. Its words come next, or [`drop_frame`].
pub(super) fn frame_len() -> Option<usize> {
    let status = ETHERNET.read(register::RX_STATUS);
    let [_, _, low, high] = status.to_le_bytes();
    (status & RX_ERROR == 0).then(|| usize::from(u16::from_le_bytes([low, high]) & 0x3fff))
}

/// The next four bytes of the frame, as they come on the wire.
pub(super) fn read_word() -> [u8; 4] {
    ETHERNET.read(register::RX_DATA).to_le_bytes()
}

/// Drops what has not been read of a frame.
pub(super) fn drop_frame() -> Result<(), Error> {
    ETHERNET.write(register::RX_DP_CTRL, FAST_FORWARD);
    wait_while(register::RX_DP_CTRL, FAST_FORWARD)
}

/// Whether the longest frame fits the transmit FIFO. Throws away what the chip says of frames that it has sent, for which it would
/// run out of memory.
pub(super) fn has_space() -> bool {
    for _ in 0..ETHERNET.read(register::TX_FIFO_INF) >> 16 & 0xff {
        ETHERNET.read(register::TX_STATUS);
    }
    let space = ETHERNET.read(register::TX_FIFO_INF) & 0xffff;
    usize::try_from(space.saturating_sub(COMMANDS_LEN)).is_ok_and(|space| space >= BUFFER_LEN)
}

/// Begins a frame of `len` bytes, of which every word must follow.
pub(super) fn begin_frame(len: u16) {
    let len = u32::from(len);
    ETHERNET.write(register::TX_DATA, WHOLE_FRAME | len);
    // The upper half would come back in the status.
    ETHERNET.write(register::TX_DATA, len << 16 | len);
}

/// The next four bytes of a frame to be sent.
pub(super) fn write_word(word: [u8; 4]) {
    ETHERNET.write(register::TX_DATA, u32::from_le_bytes(word));
}

/// Whether the spi_link is plugged in, as it were.
pub(super) fn is_link_up() -> Result<bool, Error> {
    phy_read(PHY_STATUS).map(|status| status & LINK_UP != 0)
}

/// Waits while any of `bits` is set, so long as the chip can be believed to be at work.
fn wait_while(register: u16, bits: u32) -> Result<(), Error> {
    for _ in 0..TRIES {
        if ETHERNET.read(register) & bits == 0 {
            return Ok(());
        }
    }
    Err(Error::Busy)
}

fn mac_read(register: u32) -> Result<u32, Error> {
    wait_while(register::MAC_CMD, MAC_BUSY)?;
    ETHERNET.write(register::MAC_CMD, MAC_BUSY | MAC_READ | register);
    wait_while(register::MAC_CMD, MAC_BUSY)?;
    Ok(ETHERNET.read(register::MAC_DATA))
}

fn mac_write(register: u32, value: u32) -> Result<(), Error> {
    wait_while(register::MAC_CMD, MAC_BUSY)?;
    ETHERNET.write(register::MAC_DATA, value);
    ETHERNET.write(register::MAC_CMD, MAC_BUSY | register);
    wait_while(register::MAC_CMD, MAC_BUSY)
}

fn phy_read(register: u32) -> Result<u32, Error> {
    phy_command(register, 0)?;
    mac_read(mac::MII_DATA)
}

fn phy_write(register: u32, value: u32) -> Result<(), Error> {
    mac_write(mac::MII_DATA, value)?;
    phy_command(register, MII_WRITE)
}

fn phy_command(register: u32, command: u32) -> Result<(), Error> {
    mac_write(mac::MII_ACC, PHY | register << 6 | command)?;
    for _ in 0..TRIES {
        if mac_read(mac::MII_ACC)? & MII_BUSY == 0 {
            return Ok(());
        }
    }
    Err(Error::Busy)
}
