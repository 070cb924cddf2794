//! The state machine of the FIFO interface. It performs no I/O: it returns the next action, the caller executes it and calls
//! [`Machine::step`] again. The machine measures time by the pauses that it requests.

mod poll;
mod transfer;

use super::{
    Awaited,
    register::{INT_CLEAR, Register, access, status, status_upper},
};

/// The next action of the caller. [`Machine`] holds its details.
#[derive(Clone, Copy)]
pub(super) enum Action {
    /// Execute the transaction of [`Machine::transfer`].
    Transfer,
    /// Wait for the time of [`Machine::pause`].
    Pause,
    /// Wait for the time of [`Machine::pause`], or until an interrupt.
    PauseOrInterrupt,
    /// Drive RST# low (true) or high (false).
    Reset(bool),
    /// Take the next step.
    Continue,
    Done,
}

/// The memory of the data bytes of a transaction.
#[derive(Clone, Copy)]
enum Place {
    /// The first bytes of [`Machine::register`].
    ReadRegister,
    /// The last byte of [`Machine::register`].
    WriteRegister,
    /// The constant [`INT_ENABLE`](super::register::INT_ENABLE).
    EnableInterrupts,
    ReadBuffer,
    WriteBuffer,
}

/// The reason why an exchange with the chip failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    NoChip(u8),
    WrongVendor,
    NotTpm2(u8),
    LocalityTaken,
    LocalityLost,
    Gone,
    Timeout(Awaited),
    ResponseSize(usize),
}

/// Times for which RST# is high before a reset pulse, low, and high again before the first transaction, in microseconds. They are
/// the times of Infineon's SLB9670, in which shorter times trigger security functions, and are longer than those of other chips.
const BEFORE_RESET: u32 = 60_000;
const RESET_PULSE: u32 = 2_000;
const AFTER_RESET: u32 = 60_000;
/// Limit of the search for a running chip before it is reset, in microseconds.
const PROBE_LIMIT: u32 = 50_000;

/// Length of the header of a response in bytes: tag, size and response code.
const HEADER_LEN: usize = 10;
/// Maximum number of consecutive invalid reads of the access register before the chip counts as gone.
const MAX_INVALID_READS: u16 = 16;
/// Maximum number of requests for the locality in one command.
const MAX_REQUESTS: u8 = 3;
/// Maximum number of repetitions of a transaction that fails.
const MAX_REPEATS: u8 = 4;
/// Time after which commandReady is written again, in microseconds. It grows tenfold with each repetition.
const READY_AGAIN: u32 = 1_000;
/// Time by which the search for the chip advances if wait states delay a transaction for too long, in microseconds.
const DELAYED_TRANSACTION: u32 = 375_000;

/// The kind of failure of a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TransferFailure {
    WaitStates,
    WaitStateInserted,
    Other,
}

/// The pins that the board connects.
#[derive(Clone, Copy)]
pub(super) struct Pins {
    pub(super) reset: bool,
    pub(super) interrupt: bool,
}

pub(super) struct Machine<'b> {
    buffer: &'b mut [u8],
    /// The accepted vendors.
    vendors: &'b [u16],
    state: State,
    /// True while the chip is opened, false during an exchange.
    is_opening: bool,
    pins: Pins,
    /// Position in the buffer up to which the command is written, then up to which the response is read.
    at: usize,
    /// The end of the command, then the end of the response as far as it is known.
    end: usize,
    /// Number of bytes that may still pass the FIFO.
    burst: usize,
    /// The register that was read last; its last byte is the value to write.
    register: [u8; 4],
    did_vid: u32,
    /// The register of the next transaction, the memory and the number of its data bytes.
    target: Register,
    place: Place,
    len: usize,
    /// The length of the next pause in microseconds.
    micros: u32,
    /// The total of the pauses in the current wait, in microseconds.
    waited: u32,
    /// Time limit of the response, in microseconds.
    limit: u32,
    retries: u8,
    /// Number of requests for the locality.
    requests: u8,
    cancelled: bool,
    /// True if an interrupt may end a pause.
    uses_interrupt: bool,
    /// Number of consecutive invalid reads of the access register.
    invalid_reads: u16,
    /// Number of consecutive failures of transactions.
    failures: u8,
    /// True if the last transaction must be repeated.
    repeats: bool,
    /// Time limit of the search for the chip, in microseconds.
    search_limit: u32,
    /// Waiting time after which commandReady is written again, in microseconds.
    ready_again: u32,
}

#[derive(Clone, Copy)]
enum State {
    BeforeReset,
    AssertReset,
    HoldReset,
    ReleaseReset,
    AfterReset,
    SearchChip,
    CheckChip,
    ReadVendor,
    CheckVendor,
    ReadFamily,
    CheckFamily,
    ReadLocality,
    CheckLocality,
    CheckGrant,
    PollGrant,
    /// Send the command again, from its first byte.
    Resend,
    /// End the command that the chip runs.
    Abort,
    /// Read the status, to make the chip ready for a command if it is not ready.
    Begin,
    CheckReady,
    Poll(Awaited),
    CheckStatus(Awaited),
    /// The status was invalid: check the access register for the reason.
    CheckAccess(Awaited),
    Write,
    ClearInterrupt,
    Go,
    Cancel(Awaited),
    Read,
    AfterRead,
    Retry,
    Finish,
    Finished,
}

impl<'b> Machine<'b> {
    /// Creates a machine that finds a chip of one of these vendors, after a reset if there is a reset pin.
    pub(super) fn open(vendors: &'b [u16], pins: Pins) -> Self {
        let state = if pins.reset {
            State::BeforeReset
        } else {
            State::SearchChip
        };
        Self {
            is_opening: true,
            vendors,
            ..Self::new(&mut [], state, pins)
        }
    }

    /// Creates a machine that finds a chip that may be running already, without a reset.
    pub(super) fn probe(vendors: &'b [u16], pins: Pins) -> Self {
        let reset = false;
        Self {
            search_limit: PROBE_LIMIT,
            ..Self::open(vendors, Pins { reset, ..pins })
        }
    }

    /// Creates a machine that sends the command of `len` bytes at the front of `buffer` and reads its response, for which the
    /// chip may take `limit` microseconds. If a dropped exchange left the chip in a state other than ready, that exchange is
    /// ended first.
    pub(super) fn exchange(buffer: &'b mut [u8], len: usize, limit: u32, pins: Pins) -> Self {
        Self {
            end: len,
            limit,
            ..Self::new(buffer, State::Begin, pins)
        }
    }

    fn new(buffer: &'b mut [u8], state: State, pins: Pins) -> Self {
        Self {
            buffer,
            vendors: &[],
            state,
            is_opening: false,
            pins,
            at: 0,
            end: 0,
            burst: 0,
            register: [0; 4],
            did_vid: 0,
            target: Register::Access,
            place: Place::ReadRegister,
            len: 0,
            micros: 0,
            waited: 0,
            limit: 0,
            retries: 0,
            requests: 0,
            cancelled: false,
            uses_interrupt: pins.interrupt,
            invalid_reads: 0,
            failures: 0,
            repeats: false,
            search_limit: poll::TIMEOUT_A,
            ready_again: READY_AGAIN,
        }
    }

    /// Returns the length of the response in bytes, once the machine is done.
    pub(super) fn response_len(&self) -> usize {
        self.end
    }

    /// Returns DID_VID, once it has been read.
    pub(super) fn did_vid(&self) -> u32 {
        self.did_vid
    }

    /// Returns true if the time limit of the search for the chip, or of the request for its locality, has passed.
    fn search_timed_out(&self) -> bool {
        self.waited >= self.search_limit
    }

    /// Returns the length of [`Action::Pause`] in microseconds.
    pub(super) fn pause(&self) -> u32 {
        self.micros
    }

    /// Takes one step. The caller loops, because with a loop in this function the compiler would load the data of all states at
    /// every step.
    pub(super) fn step(&mut self) -> Result<Action, Fault> {
        if core::mem::take(&mut self.repeats) {
            return Ok(Action::Transfer);
        }
        match self.state {
            State::BeforeReset => {
                self.state = State::AssertReset;
                self.micros = BEFORE_RESET;
                return Ok(Action::Pause);
            }
            State::AssertReset => {
                self.state = State::HoldReset;
                return Ok(Action::Reset(true));
            }
            State::HoldReset => {
                self.state = State::ReleaseReset;
                self.micros = RESET_PULSE;
                return Ok(Action::Pause);
            }
            State::ReleaseReset => {
                self.state = State::AfterReset;
                return Ok(Action::Reset(false));
            }
            State::AfterReset => {
                self.state = State::SearchChip;
                self.micros = AFTER_RESET;
                return Ok(Action::Pause);
            }
            State::SearchChip => return Ok(self.read(Register::Access, State::CheckChip)),
            State::CheckChip => {
                if self.has_valid_access() {
                    self.state = State::ReadVendor;
                } else if self.search_timed_out() {
                    return Err(Fault::NoChip(self.low()));
                } else {
                    return Ok(self.pause_before(State::SearchChip));
                }
            }
            State::ReadVendor => {
                self.waited = 0;
                return Ok(self.read(Register::DidVid, State::CheckVendor));
            }
            State::CheckVendor => {
                self.did_vid = u32::from_le_bytes(self.register);
                let [low, high, ..] = self.register;
                if !self.vendors.contains(&u16::from_le_bytes([low, high])) {
                    return Err(Fault::WrongVendor);
                }
                self.state = State::ReadLocality;
            }
            State::ReadLocality => {
                return Ok(self.read(Register::Access, State::CheckLocality));
            }
            State::CheckLocality => {
                if self.has_valid_access() && self.low() & access::BEEN_SEIZED != 0 {
                    return Ok(self.write(
                        Register::Access,
                        access::BEEN_SEIZED,
                        State::CheckGrant,
                    ));
                }
                self.state = State::CheckGrant;
            }
            State::CheckGrant => {
                if self.low() & access::GRANTED_MASK == access::GRANTED {
                    self.waited = 0;
                    self.state = if self.is_opening {
                        State::ReadFamily
                    } else {
                        State::Begin
                    };
                    if self.pins.interrupt {
                        // A reset of the chip has disabled the interrupts.
                        self.target = Register::IntEnable;
                        self.place = Place::EnableInterrupts;
                        return Ok(Action::Transfer);
                    }
                } else if self.waited == 0 {
                    self.waited = 1;
                    return Ok(self.write(Register::Access, access::REQUEST_USE, State::PollGrant));
                } else if self.search_timed_out() {
                    return Err(Fault::LocalityTaken);
                } else {
                    return Ok(self.pause_before(State::PollGrant));
                }
            }
            State::ReadFamily => return Ok(self.read(Register::Status, State::CheckFamily)),
            State::PollGrant => return Ok(self.read(Register::Access, State::CheckGrant)),
            State::CheckFamily => {
                let [_, _, _, upper] = self.register;
                if upper & status_upper::FAMILY_MASK != status_upper::FAMILY_TPM_2 {
                    return Err(Fault::NotTpm2(upper));
                }
                self.state = State::Finished;
            }
            State::Resend => {
                self.at = 0;
                self.waited = 0;
                self.state = State::Abort;
            }
            State::Abort => {
                return Ok(self.write(Register::Status, status::COMMAND_READY, State::Begin));
            }
            State::Begin => return Ok(self.read(Register::Status, State::CheckReady)),
            State::CheckReady => {
                self.take_burst();
                if !self.has_valid_status() {
                    return Ok(self.read(Register::Access, State::CheckAccess(Awaited::Ready)));
                }
                if self.has(status::COMMAND_READY) {
                    // A cancel and waiting time that made the chip ready do not count for the next command.
                    self.cancelled = false;
                    self.waited = 0;
                    self.state = State::Write;
                } else {
                    // Some states need two writes: one to idle, and one from idle to ready.
                    return Ok(self.write(
                        Register::Status,
                        status::COMMAND_READY,
                        State::Poll(Awaited::Ready),
                    ));
                }
            }
            State::Poll(awaited) => {
                return Ok(self.read(Register::Status, State::CheckStatus(awaited)));
            }
            State::CheckStatus(awaited) => {
                if !self.has_valid_status() {
                    return Ok(self.read(Register::Access, State::CheckAccess(awaited)));
                }
                if let Some(next) = self.check_status(awaited)? {
                    self.state = next;
                } else {
                    return self.wait(awaited);
                }
            }
            State::CheckAccess(awaited) => {
                if self.has_valid_access() {
                    self.invalid_reads = 0;
                    if self.low() & access::ACTIVE_LOCALITY == 0 {
                        if !matches!(awaited, Awaited::Ready) || self.requests >= MAX_REQUESTS {
                            return Err(Fault::LocalityLost);
                        }
                        self.requests = self.requests.saturating_add(1);
                        self.waited = 0;
                        self.state = State::CheckLocality;
                        return Ok(Action::Continue);
                    }
                } else {
                    self.invalid_reads = self.invalid_reads.saturating_add(1);
                    if self.invalid_reads >= MAX_INVALID_READS && self.search_timed_out() {
                        return Err(Fault::Gone);
                    }
                }
                return self.wait(awaited);
            }
            State::Write => {
                if self.at >= self.end {
                    self.state = State::Poll(Awaited::CommandTaken);
                    return Ok(Action::Continue);
                }
                let Some(len) = self.chunk_len() else {
                    self.state = State::Poll(Awaited::Room);
                    return Ok(Action::Continue);
                };
                return Ok(self.advance(len, Place::WriteBuffer));
            }
            State::ClearInterrupt => {
                return Ok(self.write(Register::IntStatus, INT_CLEAR, State::Go));
            }
            State::Go => {
                self.at = 0;
                self.end = HEADER_LEN;
                return Ok(self.write(
                    Register::Status,
                    status::GO,
                    State::Poll(Awaited::Response),
                ));
            }
            State::Cancel(awaited) => {
                self.cancelled = true;
                self.waited = 0;
                let next = match awaited {
                    Awaited::Ready => State::Abort,
                    other => State::Poll(other),
                };
                return Ok(self.write(Register::StatusUpper, status_upper::COMMAND_CANCEL, next));
            }
            State::Read => {
                let Some(len) = self.chunk_len() else {
                    self.state = State::Poll(Awaited::Rest);
                    return Ok(Action::Continue);
                };
                self.state = State::AfterRead;
                return Ok(self.advance(len, Place::ReadBuffer));
            }
            State::AfterRead => {
                self.waited = 0;
                self.state = State::Read;
                if self.at == HEADER_LEN && self.end == HEADER_LEN {
                    let size = response_size(self.buffer);
                    if (HEADER_LEN..=self.buffer.len()).contains(&size) {
                        self.end = size;
                    } else {
                        self.state = self.retry(size)?;
                        return Ok(Action::Continue);
                    }
                }
                if self.at >= self.end {
                    self.state = State::Poll(Awaited::ResponseTaken);
                }
            }
            State::Retry => {
                self.at = 0;
                self.end = HEADER_LEN;
                return Ok(self.write(
                    Register::Status,
                    status::RESPONSE_RETRY,
                    State::Poll(Awaited::Rest),
                ));
            }
            State::Finish => {
                return Ok(self.write(Register::Status, status::COMMAND_READY, State::Finished));
            }
            State::Finished => return Ok(Action::Done),
        }
        Ok(Action::Continue)
    }

    fn take_burst(&mut self) {
        let [_, low, high, _] = self.register;
        self.burst = usize::from(u16::from_le_bytes([low, high]));
    }

    fn low(&self) -> u8 {
        let [low, ..] = self.register;
        low
    }

    fn has(&self, bit: u8) -> bool {
        self.low() & bit != 0
    }

    /// Returns true if the status register has a valid value. An empty bus and an inactive locality read as all ones.
    fn has_valid_status(&self) -> bool {
        !self.has(status::ZERO)
    }

    /// Returns true if the access register has a valid value.
    fn has_valid_access(&self) -> bool {
        self.low() != 0xff && self.has(access::VALID)
    }
}

/// Returns the size field in the header of a response.
fn response_size(buffer: &[u8]) -> usize {
    match buffer {
        [_, _, a, b, c, d, ..] => {
            usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX)
        }
        _ => usize::MAX,
    }
}
