//! The registers of the chip, and the operations on them (LAN9118 data sheet, chapter 5).

use super::Error;
use crate::registers::{ETHERNET, Interrupt};

/// The length of the longest frame with its checksum, rounded up, which must fit the transmit FIFO.
pub(super) const BUFFER_LEN: usize = 1536;
/// The length of the checksum that follows a received frame.
pub(super) const CHECKSUM_LEN: usize = 4;
/// The length of the two commands that precede a frame to be sent.
const COMMANDS_LEN: u32 = 8;
/// The number of reads of a register before an operation is considered failed; they take a few milliseconds.
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

/// Registers of the MAC, accessed through MAC_CMD and MAC_DATA.
mod mac {
    pub(super) const CR: u32 = 1;
    pub(super) const ADDRH: u32 = 2;
    pub(super) const ADDRL: u32 = 3;
    pub(super) const MII_ACC: u32 = 6;
    pub(super) const MII_DATA: u32 = 7;
}

/// BYTE_TEST: the value if the bus and the byte order are correct.
const BYTE_ORDER: u32 = 0x8765_4321;
/// HW_CFG: software reset. Reads as one while the reset is in progress.
const RESET: u32 = 1 << 0;
/// HW_CFG: reserves 5 KiB of the memory for transmission; and a bit that must be one.
const TX_FIFO_SIZE: u32 = 0x0005_0000 | 1 << 20;
/// AFC_CFG: the value that the data sheet gives for flow control.
const FLOW_CONTROL: u32 = 0x006e_3740;
/// IRQ_CFG: the pin is enabled, active high, push-pull. Otherwise the line idles asserted.
const IRQ_PIN: u32 = 1 << 8 | 1 << 4 | 1 << 0;
/// FIFO_INT: interrupt as soon as one frame has been received.
const ONE_FRAME: u32 = 0x4800_0000;
/// INT_STS, INT_EN: a frame has been received (RSFL).
const FRAME_RECEIVED: u32 = 1 << 3;
/// TX_CFG: the transmitter is enabled.
const TX_ON: u32 = 1 << 1;
/// RX_DP_CTRL: discard the frame. Reads as one while this is in progress.
const FAST_FORWARD: u32 = 1 << 31;
/// RX status: the frame is damaged.
const RX_ERROR: u32 = 1 << 15;
/// MAC_CMD: an access is in progress.
const MAC_BUSY: u32 = 1 << 31;
/// MAC_CMD: read access; write access if zero.
const MAC_READ: u32 = 1 << 30;
/// MAC CR: full duplex, transmitter and receiver enabled.
const MAC_ON: u32 = 1 << 20 | 1 << 3 | 1 << 2;
/// MII_ACC: the address of the internal PHY, which is one.
const PHY: u32 = 1 << 11;
const MII_WRITE: u32 = 1 << 1;
const MII_BUSY: u32 = 1 << 0;
/// The control register of the PHY.
const PHY_CONTROL: u32 = 0;
/// PHY control: restart auto-negotiation.
const NEGOTIATE: u32 = 0x1200;
/// The status register of the PHY.
const PHY_STATUS: u32 = 1;
/// PHY status: the link is up.
const LINK_UP: u32 = 1 << 2;
/// Transmit command A: the whole frame in one piece.
const WHOLE_FRAME: u32 = 1 << 13 | 1 << 12;

/// Checks that there is a LAN9118.
///
/// # Errors
/// [`Error::NoChip`] with the value of BYTE_TEST.
pub(super) fn identify() -> Result<(), Error> {
    match ETHERNET.read(register::BYTE_TEST) {
        BYTE_ORDER => Ok(()),
        actual => Err(Error::NoChip { actual }),
    }
}

/// Resets and starts the chip. Returns its MAC address.
pub(super) fn start() -> Result<[u8; 6], Error> {
    ETHERNET.write(register::HW_CFG, RESET);
    wait_while(register::HW_CFG, RESET)?;
    ETHERNET.write(register::HW_CFG, TX_FIFO_SIZE);
    ETHERNET.write(register::AFC_CFG, FLOW_CONTROL);
    // QEMU sets the address; on real hardware the chip loads it from an EEPROM.
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

/// Enables the interrupt for frames received from now on.
pub(super) fn unmask_interrupt() {
    ETHERNET.write(register::INT_STS, FRAME_RECEIVED);
    ETHERNET.write(register::INT_EN, FRAME_RECEIVED);
}

/// Disables the interrupt for received frames.
pub(super) fn mask_interrupt() {
    ETHERNET.write(register::INT_EN, 0);
}

/// Returns true if a frame has been received.
pub(super) fn has_frame() -> bool {
    ETHERNET.read(register::RX_FIFO_INF) >> 16 & 0xff != 0
}

/// Returns the length of the next frame including its checksum, or `None` if the frame is damaged. The caller must then read all
/// words of the frame, or call [`drop_frame`].
pub(super) fn frame_len() -> Option<usize> {
    let status = ETHERNET.read(register::RX_STATUS);
    let [_, _, low, high] = status.to_le_bytes();
    (status & RX_ERROR == 0).then(|| usize::from(u16::from_le_bytes([low, high]) & 0x3fff))
}

/// Reads the next four bytes of the frame, in network order.
pub(super) fn read_word() -> [u8; 4] {
    ETHERNET.read(register::RX_DATA).to_le_bytes()
}

/// Discards the unread part of a frame.
pub(super) fn drop_frame() -> Result<(), Error> {
    ETHERNET.write(register::RX_DP_CTRL, FAST_FORWARD);
    wait_while(register::RX_DP_CTRL, FAST_FORWARD)
}

/// Returns true if the longest frame fits the transmit FIFO. Discards the status of sent frames, for which the chip would run out
/// of memory.
pub(super) fn has_space() -> bool {
    for _ in 0..ETHERNET.read(register::TX_FIFO_INF) >> 16 & 0xff {
        ETHERNET.read(register::TX_STATUS);
    }
    let space = ETHERNET.read(register::TX_FIFO_INF) & 0xffff;
    usize::try_from(space.saturating_sub(COMMANDS_LEN)).is_ok_and(|space| space >= BUFFER_LEN)
}

/// Begins a frame of `len` bytes. The caller must then write every word of it.
pub(super) fn begin_frame(len: u16) {
    let len = u32::from(len);
    ETHERNET.write(register::TX_DATA, WHOLE_FRAME | len);
    // The chip repeats the upper half in the status of the frame.
    ETHERNET.write(register::TX_DATA, len << 16 | len);
}

/// Writes the next four bytes of a frame to be sent.
pub(super) fn write_word(word: [u8; 4]) {
    ETHERNET.write(register::TX_DATA, u32::from_le_bytes(word));
}

/// Returns true if the link is up, that is, the emulated cable is plugged in.
pub(super) fn is_link_up() -> Result<bool, Error> {
    phy_read(PHY_STATUS).map(|status| status & LINK_UP != 0)
}

/// Waits until all of `bits` are clear.
///
/// # Errors
/// [`Error::Busy`] after [`TRIES`] reads.
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
