use std::fmt;

/// The behaviour of the chip. The default is a correct chip without delays: no wait states, burst count 64.
pub struct Script {
    /// Returns the number of wait states of the transaction with this number.
    pub wait_states: Box<dyn FnMut(u64) -> u32 + Send>,
    /// Returns the time for which wait states delay the transaction with this number, in microseconds.
    pub holds_off: Box<dyn FnMut(u64) -> u64 + Send>,
    /// Returns the burst count that the status read with this number shows.
    pub burst_count: Box<dyn FnMut(u64) -> u16 + Send>,
    /// Time after a change of state for which `stsValid` is 0, in microseconds.
    pub status_valid_after: u64,
    /// Returns the execution time of a command, in microseconds.
    pub execution: Duration,
    /// Time from idle to ready, in microseconds.
    pub ready_after: u64,
    /// True if `commandReady` leads from completion to ready directly. The specification also allows idle first.
    pub ready_at_once: bool,
    /// True if `commandCancel` has an effect.
    pub can_be_cancelled: bool,
    /// Returns a response that the chip sends without executing the command, or `None` to execute it.
    pub refusal: Refusal,
    /// Returns true if the chip accepts the command byte with this number, false if the chip loses it.
    pub takes: Box<dyn FnMut(u64) -> bool + Send>,
    /// Replaces a byte that the host reads from the FIFO, as if it changed on the wire. The number counts the bytes read from the
    /// FIFO since the emulator was created.
    pub fifo: Box<dyn FnMut(u64, u8) -> u8 + Send>,
    /// True if the status register identifies the chip as a TPM 2.0.
    pub is_tpm_2: bool,
    /// The value of DID_VID.
    pub did_vid: u32,
    /// Replaces a command on its way from the host to the chip.
    pub command: ChangeCommand,
    /// Replaces a response on its way from the chip to the host. The first argument is the command.
    pub response: ChangeResponse,
    /// Returns true if the ready bit of the transaction with this number is lost on the wire: the host sees a wait state that the
    /// chip has not inserted.
    pub loses_ready: Box<dyn FnMut(u64) -> bool + Send>,
    /// Time from a reset until the chip responds, in microseconds.
    pub start_up: u64,
    /// Minimum time for which the chip select must be high between two transactions, in microseconds.
    pub min_idle: u64,
    /// Minimum time for which RST# must be high before it goes low, and again before the first transaction, in microseconds.
    pub reset_high: u64,
    /// Time without a transaction after which the chip sleeps, in microseconds, or `None` if it never sleeps. The transaction
    /// that wakes the chip is lost.
    pub sleeps_after: Option<u64>,
    /// Time that the chip needs to wake, in microseconds. Transactions are lost until then.
    pub wakes_in: u64,
    /// Events, each with the number of the transaction at whose beginning it happens.
    pub events: Vec<(u64, Event)>,
}

/// Returns a time in microseconds for a command.
pub type Duration = Box<dyn FnMut(&[u8]) -> u64 + Send>;
/// Returns a response to a command, or `None`.
pub type Refusal = Box<dyn FnMut(&[u8]) -> Option<Vec<u8>> + Send>;
/// Returns the command that the chip receives.
pub type ChangeCommand = Box<dyn FnMut(Vec<u8>) -> Vec<u8> + Send>;
/// Returns the response that the host receives, from the command and the response of the TPM.
pub type ChangeResponse = Box<dyn FnMut(&[u8], Vec<u8>) -> Vec<u8> + Send>;

/// An event that changes the state of the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The chip is reset, as by its pin.
    Reset,
    /// The chip disappears, and the bus is pulled up.
    VanishHigh,
    /// The chip disappears, and the bus is pulled down.
    VanishLow,
    /// The chip returns, as after a reset.
    Return,
    /// This locality seizes the chip.
    Seize(u8),
    /// This locality relinquishes the chip.
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
