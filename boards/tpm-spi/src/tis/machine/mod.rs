//! What happens on the bus, as a state machine without I/O: it says what is to be done, its caller does it and asks again. Time
//! is counted by the pauses that it asks for.

mod poll;
mod transfer;

use super::{
    Awaited,
    register::{INT_CLEAR, Register, access, status, status_upper},
};

/// What the caller does next; [`Machine`] has the details.
#[derive(Clone, Copy)]
pub(super) enum Action {
    /// A transaction: [`Machine::transfer`].
    Transfer,
    /// So many microseconds: [`Machine::pause`].
    Pause,
    /// The same, but an interrupt may end it early.
    PauseOrInterrupt,
    /// Pull the reset pin low, or let it go.
    Reset(bool),
    /// Nothing: ask again.
    Again,
    Done,
}

/// Where the data bytes of a transaction are.
#[derive(Clone, Copy)]
enum Place {
    /// In the machine's own bytes, from the first on.
    ReadRegister,
    /// The last of them.
    WriteRegister,
    EnableInterrupts,
    ReadBuffer,
    WriteBuffer,
}

/// Why the chip cannot be spoken with.
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

/// How long RST# is high before a pulse, low, and high again before the chip is spoken to, in microseconds. The times of Infineon's
/// SLB9670, whose security functions are triggered by shorter ones, and longer than those of other chips.
const BEFORE_RESET: u32 = 60_000;
const RESET_PULSE: u32 = 2_000;
const AFTER_RESET: u32 = 60_000;
/// How long a chip that may be running is looked for before it is reset.
const PROBE_LIMIT: u32 = 50_000;

/// Tag, size and response code.
const HEADER_LEN: usize = 10;
/// How often in a row a chip may not be seen before it counts as gone.
const MAX_MISSED: u16 = 16;
/// How often a locality is requested before one command.
const MAX_REQUESTS: u8 = 3;
/// How often a transaction that fails is repeated.
const MAX_REPEATS: u8 = 4;
/// After how long commandReady is written again, in microseconds; then after ten times that, and so on.
const READY_AGAIN: u32 = 1_000;
/// The time that a transaction held off by wait states counts for while the chip is searched for, in microseconds.
const HELD_OFF: u32 = 375_000;

/// How a transaction failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
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
    /// The makers that are accepted.
    vendors: &'b [u16],
    state: State,
    /// Whether the chip is being found, and not spoken with.
    opens: bool,
    pins: Pins,
    /// How far the command is written, then how far the response is read.
    at: usize,
    /// Where the command ends, then where the response ends, as far as is known.
    end: usize,
    burst: usize,
    register: [u8; 4],
    did_vid: u32,
    /// The transaction that is due.
    target: Register,
    place: Place,
    len: usize,
    /// The pause that is due, and all of them together.
    micros: u32,
    waited: u32,
    /// For the response, in microseconds.
    limit: u32,
    retries: u8,
    /// How often the locality was asked for.
    requests: u8,
    cancelled: bool,
    /// Whether an interrupt may end a pause.
    listens: bool,
    /// How often in a row the chip was not to be seen.
    missed: u16,
    /// How often in a row a transaction has failed.
    failures: u8,
    /// The transaction is to be repeated.
    repeats: bool,
    /// How long the chip is looked for.
    look_limit: u32,
    /// When commandReady is written again.
    ready_again: u32,
}

#[derive(Clone, Copy)]
enum State {
    BeforeReset,
    PullReset,
    HoldReset,
    LetGo,
    AfterReset,
    LookForChip,
    JudgeChip,
    ReadVendor,
    JudgeVendor,
    ReadFamily,
    JudgeFamily,
    AskLocality,
    JudgeLocality,
    JudgeGrant,
    PollGrant,
    /// The command is to be sent once more, from its first byte.
    Resend,
    /// What the chip does is to be ended.
    Abort,
    /// Ready for a command, or to be made so.
    Begin,
    JudgeBegin,
    Poll(Awaited),
    Judge(Awaited),
    /// The status made no sense; the access register tells why.
    Suspect(Awaited),
    Write,
    ClearInterrupt,
    Go,
    Cancel(Awaited),
    Read,
    HaveRead,
    Retry,
    Finish,
    Finished,
}

impl<'b> Machine<'b> {
    /// Finds a chip, of one of these makers.
    pub(super) fn open(vendors: &'b [u16], pins: Pins) -> Self {
        let state = if pins.reset {
            State::BeforeReset
        } else {
            State::LookForChip
        };
        Self {
            opens: true,
            vendors,
            ..Self::new(&mut [], state, pins)
        }
    }

    /// Finds a chip that may be running already, without a reset.
    pub(super) fn probe(vendors: &'b [u16], pins: Pins) -> Self {
        let reset = false;
        Self {
            look_limit: PROBE_LIMIT,
            ..Self::open(vendors, Pins { reset, ..pins })
        }
    }

    /// A command of `len` bytes at the front of `buffer`, whose response may take `limit` microseconds. Whatever state
    /// an exchange that was given up has left the chip in, it is one that is not ready, and is ended.
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
            opens: false,
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
            listens: pins.interrupt,
            missed: 0,
            failures: 0,
            repeats: false,
            look_limit: poll::TIMEOUT_A,
            ready_again: READY_AGAIN,
        }
    }

    /// The length of the response, when it is done.
    pub(super) fn response_len(&self) -> usize {
        self.end
    }

    /// DID_VID, when it has been read.
    pub(super) fn did_vid(&self) -> u32 {
        self.did_vid
    }

    /// Returns whether the time to search for the chip, or its locality, is over.
    fn has_looked_enough(&self) -> bool {
        self.waited >= self.look_limit
    }

    /// The microseconds of [`Action::Pause`].
    pub(super) fn pause(&self) -> u32 {
        self.micros
    }

    /// One step. The caller loops: in a loop of its own, the compiler would load all that any state needs for every one.
    pub(super) fn step(&mut self) -> Result<Action, Fault> {
        if core::mem::take(&mut self.repeats) {
            return Ok(Action::Transfer);
        }
        match self.state {
            State::BeforeReset => {
                self.state = State::PullReset;
                self.micros = BEFORE_RESET;
                return Ok(Action::Pause);
            }
            State::PullReset => {
                self.state = State::HoldReset;
                return Ok(Action::Reset(true));
            }
            State::HoldReset => {
                self.state = State::LetGo;
                self.micros = RESET_PULSE;
                return Ok(Action::Pause);
            }
            State::LetGo => {
                self.state = State::AfterReset;
                return Ok(Action::Reset(false));
            }
            State::AfterReset => {
                self.state = State::LookForChip;
                self.micros = AFTER_RESET;
                return Ok(Action::Pause);
            }
            State::LookForChip => return Ok(self.read(Register::Access, State::JudgeChip)),
            State::JudgeChip => {
                if self.is_there() {
                    self.state = State::ReadVendor;
                } else if self.has_looked_enough() {
                    return Err(Fault::NoChip(self.low()));
                } else {
                    return Ok(self.pause_before(State::LookForChip));
                }
            }
            State::ReadVendor => {
                self.waited = 0;
                return Ok(self.read(Register::DidVid, State::JudgeVendor));
            }
            State::JudgeVendor => {
                self.did_vid = u32::from_le_bytes(self.register);
                let [low, high, ..] = self.register;
                if !self.vendors.contains(&u16::from_le_bytes([low, high])) {
                    return Err(Fault::WrongVendor);
                }
                self.state = State::AskLocality;
            }
            State::AskLocality => {
                return Ok(self.read(Register::Access, State::JudgeLocality));
            }
            State::JudgeLocality => {
                if self.is_there() && self.low() & access::BEEN_SEIZED != 0 {
                    return Ok(self.write(
                        Register::Access,
                        access::BEEN_SEIZED,
                        State::JudgeGrant,
                    ));
                }
                self.state = State::JudgeGrant;
            }
            State::JudgeGrant => {
                if self.low() & access::GRANTED_MASK == access::GRANTED {
                    self.waited = 0;
                    self.state = if self.opens {
                        State::ReadFamily
                    } else {
                        State::Begin
                    };
                    if self.pins.interrupt {
                        // A chip that was reset has forgotten.
                        self.target = Register::IntEnable;
                        self.place = Place::EnableInterrupts;
                        return Ok(Action::Transfer);
                    }
                } else if self.waited == 0 {
                    self.waited = 1;
                    return Ok(self.write(Register::Access, access::REQUEST_USE, State::PollGrant));
                } else if self.has_looked_enough() {
                    return Err(Fault::LocalityTaken);
                } else {
                    return Ok(self.pause_before(State::PollGrant));
                }
            }
            State::ReadFamily => return Ok(self.read(Register::Status, State::JudgeFamily)),
            State::PollGrant => return Ok(self.read(Register::Access, State::JudgeGrant)),
            State::JudgeFamily => {
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
            State::Begin => return Ok(self.read(Register::Status, State::JudgeBegin)),
            State::JudgeBegin => {
                self.take_burst();
                if !self.makes_sense() {
                    return Ok(self.read(Register::Access, State::Suspect(Awaited::Ready)));
                }
                if self.has(status::COMMAND_READY) {
                    // A cancel, and a wait, that made the chip ready have nothing to do with the command that comes.
                    self.cancelled = false;
                    self.waited = 0;
                    self.state = State::Write;
                } else {
                    // Two are needed after some states: to idle, and from there to ready.
                    return Ok(self.write(
                        Register::Status,
                        status::COMMAND_READY,
                        State::Poll(Awaited::Ready),
                    ));
                }
            }
            State::Poll(awaited) => {
                return Ok(self.read(Register::Status, State::Judge(awaited)));
            }
            State::Judge(awaited) => {
                if !self.makes_sense() {
                    return Ok(self.read(Register::Access, State::Suspect(awaited)));
                }
                if let Some(next) = self.check_status(awaited)? {
                    self.state = next;
                } else {
                    return self.wait(awaited);
                }
            }
            State::Suspect(awaited) => {
                if self.is_there() {
                    self.missed = 0;
                    if self.low() & access::ACTIVE_LOCALITY == 0 {
                        if !matches!(awaited, Awaited::Ready) || self.requests >= MAX_REQUESTS {
                            return Err(Fault::LocalityLost);
                        }
                        self.requests = self.requests.saturating_add(1);
                        self.waited = 0;
                        self.state = State::JudgeLocality;
                        return Ok(Action::Again);
                    }
                } else {
                    self.missed = self.missed.saturating_add(1);
                    if self.missed >= MAX_MISSED && self.has_looked_enough() {
                        return Err(Fault::Gone);
                    }
                }
                return self.wait(awaited);
            }
            State::Write => {
                if self.at >= self.end {
                    self.state = State::Poll(Awaited::CommandTaken);
                    return Ok(Action::Again);
                }
                let Some(len) = self.chunk_len() else {
                    self.state = State::Poll(Awaited::Room);
                    return Ok(Action::Again);
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
                    return Ok(Action::Again);
                };
                self.state = State::HaveRead;
                return Ok(self.advance(len, Place::ReadBuffer));
            }
            State::HaveRead => {
                self.waited = 0;
                self.state = State::Read;
                if self.at == HEADER_LEN && self.end == HEADER_LEN {
                    let size = response_size(self.buffer);
                    if (HEADER_LEN..=self.buffer.len()).contains(&size) {
                        self.end = size;
                    } else {
                        self.state = self.retry(size)?;
                        return Ok(Action::Again);
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
        Ok(Action::Again)
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

    /// Whether this is a chip's status at all: all ones come from an empty bus and from a locality that is not active.
    fn makes_sense(&self) -> bool {
        !self.has(status::ZERO)
    }

    /// Whether this is a chip's access register at all.
    fn is_there(&self) -> bool {
        self.low() != 0xff && self.has(access::VALID)
    }
}

/// What the header of a response says of its size.
fn response_size(buffer: &[u8]) -> usize {
    match buffer {
        [_, _, a, b, c, d, ..] => {
            usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX)
        }
        _ => usize::MAX,
    }
}
