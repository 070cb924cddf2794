use std::fmt;

/// How the chip behaves. The default is a good one without delay: no wait states, burst count 64.
pub struct Script {
    /// Wait state bytes of the transaction with this number.
    pub wait_states: Box<dyn FnMut(u64) -> u32 + Send>,
    /// Microseconds for which the transaction with this number is held off by wait states.
    pub holds_off: Box<dyn FnMut(u64) -> u64 + Send>,
    /// The burst count that the status read with this number shows.
    pub burst_count: Box<dyn FnMut(u64) -> u16 + Send>,
    /// Microseconds after a change of state in which `stsValid` is 0.
    pub status_valid_after: u64,
    /// Microseconds that the chip works on this command.
    pub execution: Duration,
    /// Microseconds from idle to ready.
    pub ready_after: u64,
    /// Whether `commandReady` leads from completion straight to ready; by the specification it may lead to idle first.
    pub ready_at_once: bool,
    /// Whether `commandCancel` has an effect.
    pub can_be_cancelled: bool,
    /// What the chip answers at once, without working on the command, if anything.
    pub refusal: Refusal,
    /// Whether the chip takes the byte of a command with this number, or loses it.
    pub takes: Box<dyn FnMut(u64) -> bool + Send>,
    /// On the wire: what the host reads instead of this byte of the FIFO, the how-many-th since the chip is there.
    pub fifo: Box<dyn FnMut(u64, u8) -> u8 + Send>,
    /// Whether the status register tells of a TPM 2.0.
    pub is_tpm_2: bool,
    /// What DID_VID reads.
    pub did_vid: u32,
    /// Between host and chip: what the chip gets instead of this command.
    pub command: ChangeCommand,
    /// Between chip and host: what the host gets instead of this response, behind its command.
    pub response: ChangeResponse,
    /// Returns whether the ready bit of the transaction with this number is lost on the wire: the host sees a wait state, and the chip none.
    pub loses_ready: Box<dyn FnMut(u64) -> bool + Send>,
    /// Microseconds from a reset to the first answer.
    pub start_up: u64,
    /// Microseconds for which the chip select must be high between two transactions.
    pub min_idle: u64,
    /// Microseconds for which RST# must be high before it goes low, and after that before the first transaction.
    pub reset_high: u64,
    /// Microseconds without a transaction after which the chip sleeps, if it does; the transaction that wakes it is lost.
    pub sleeps_after: Option<u64>,
    /// Microseconds in which it wakes; transactions are lost until then.
    pub wakes_in: u64,
    /// What happens when the transaction with this number begins.
    pub events: Vec<(u64, Event)>,
}

/// Microseconds by command.
pub type Duration = Box<dyn FnMut(&[u8]) -> u64 + Send>;
/// A response, by command, or none.
pub type Refusal = Box<dyn FnMut(&[u8]) -> Option<Vec<u8>> + Send>;
/// Another command for the chip.
pub type ChangeCommand = Box<dyn FnMut(Vec<u8>) -> Vec<u8> + Send>;
/// Another response for the host, by command.
pub type ChangeResponse = Box<dyn FnMut(&[u8], Vec<u8>) -> Vec<u8> + Send>;

/// Something that happens to the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is reset, as by its pin.
    Reset,
    /// It is gone; the bus is pulled up.
    VanishHigh,
    /// It is gone; the bus is pulled down.
    VanishLow,
    /// It is there again, as after a reset.
    Return,
    /// This locality seizes it.
    Seize(u8),
    /// This locality gives it up.
    Relinquish(u8),
}

impl Default for Script {
    fn default() -> Self {
        Self {
            wait_states: Box::new(|_| 0),
            holds_off: Box::new(|_| 0),
            burst_count: Box::new(|_| 64),
            status_valid_after: 0,
            execution: Box::new(|_| 0),
            ready_after: 0,
            ready_at_once: true,
            can_be_cancelled: true,
            refusal: Box::new(|_| None),
            takes: Box::new(|_| true),
            fifo: Box::new(|_, byte| byte),
            is_tpm_2: true,
            // Infineon SLB9670, TPM 2.0.
            did_vid: 0x001b_15d1,
            command: Box::new(|command| command),
            response: Box::new(|_, response| response),
            loses_ready: Box::new(|_| false),
            start_up: 10_000,
            min_idle: 1,
            // Infineon SLB9670.
            reset_high: 60_000,
            sleeps_after: None,
            wakes_in: 0,
            events: Vec::new(),
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}
