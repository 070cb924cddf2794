//! One command and its response through the FIFO, as a state machine without I/O: it says what is to be done on the bus, its
//! caller does it and asks again. Time is counted by the pauses that it asks for.

use super::register::{MAX_TRANSFER, Register, status, status_upper};
use super::{Awaited, access};

/// What the caller does next.
pub(super) enum Action<'a> {
    Read(Register, &'a mut [u8]),
    Write(Register, &'a [u8]),
    /// Ask for the locality, which must be ours before the next step.
    RequestLocality,
    /// Microseconds.
    Pause(u32),
    /// Microseconds; an interrupt may end it early.
    PauseOrInterrupt(u32),
    /// The buffer begins with a response of this many bytes.
    Done(usize),
}

/// Why the chip cannot be spoken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Timeout(Awaited),
    Gone,
    LocalityLost,
    ResponseSize(usize),
}

/// Time-outs of the interface, in microseconds (PTP section 6.5.1.4).
pub(super) const TIMEOUT_A: u32 = 750_000;
const TIMEOUT_B: u32 = 2_000_000;
const TIMEOUT_C: u32 = 200_000;

/// The first pause between two looks at the status; later ones are half of what has been waited already.
const SHORTEST_PAUSE: u32 = 100;
const LONGEST_PAUSE: u32 = 20_000;
/// Where an interrupt ends a pause, looking is for lost interrupts only.
const LONGEST_PAUSE_WITH_INTERRUPT: u32 = 500_000;

/// Tag, size and response code.
const HEADER_LEN: usize = 10;
/// How often a response is asked for again.
const MAX_RETRIES: u8 = 2;

pub(super) struct Exchange<'b> {
    buffer: &'b mut [u8],
    state: State,
    /// How far the command is written, then how far the response is read.
    at: usize,
    /// Where the command ends, then where the response ends, as far as is known.
    end: usize,
    burst: usize,
    status: [u8; 4],
    access: [u8; 1],
    waited: u32,
    /// For the response, in microseconds.
    limit: u32,
    retries: u8,
    cancelled: bool,
    interrupt: bool,
}

#[derive(Clone, Copy)]
enum State {
    /// The chip may be anywhere: what it does is to be ended.
    Abort,
    /// Ready for a command, or to be made so.
    Begin,
    JudgeBegin,
    Poll(Awaited),
    Judge(Awaited),
    /// The status made no sense; the access register tells why.
    Suspect(Awaited),
    Write,
    Written,
    ClearInterrupt,
    Go,
    Cancel(Awaited),
    Read,
    HaveRead,
    Retry,
    Finish,
    Finished,
}

impl<'b> Exchange<'b> {
    /// For a command of `len` bytes at the front of `buffer`, whose response may take `limit` microseconds. `unknown` if the
    /// last exchange was not brought to its end.
    pub(super) fn new(
        buffer: &'b mut [u8],
        len: usize,
        limit: u32,
        unknown: bool,
        interrupt: bool,
    ) -> Self {
        Self {
            buffer,
            state: if unknown { State::Abort } else { State::Begin },
            at: 0,
            end: len,
            burst: 0,
            status: [0; 4],
            access: [0],
            waited: 0,
            limit,
            retries: 0,
            cancelled: false,
            interrupt,
        }
    }

    pub(super) fn step(&mut self) -> Result<Action<'_>, Fault> {
        loop {
            match self.state {
                State::Abort => {
                    self.state = State::Begin;
                    return Ok(Action::Write(Register::Status, &[status::COMMAND_READY]));
                }
                State::Begin => {
                    self.state = State::JudgeBegin;
                    return Ok(Action::Read(Register::Status, &mut self.status));
                }
                State::JudgeBegin => {
                    self.take_burst();
                    if !self.makes_sense() {
                        self.state = State::Suspect(Awaited::Ready);
                        return Ok(Action::Read(Register::Access, &mut self.access));
                    }
                    if self.has(status::COMMAND_READY) {
                        self.state = State::Write;
                    } else {
                        // Two are needed after some states: to idle, and from there to ready.
                        self.state = State::Poll(Awaited::Ready);
                        return Ok(Action::Write(Register::Status, &[status::COMMAND_READY]));
                    }
                }
                State::Poll(awaited) => {
                    self.state = State::Judge(awaited);
                    let width = if awaited.needs_burst() { 4 } else { 1 };
                    let status = self.status.get_mut(..width).unwrap_or_default();
                    return Ok(Action::Read(Register::Status, status));
                }
                State::Judge(awaited) => {
                    if let Some(action) = self.judge(awaited)? {
                        return Ok(self.perform(action));
                    }
                }
                State::Suspect(awaited) => {
                    let action = self.suspect(awaited)?;
                    return Ok(self.perform(action));
                }
                State::Write => {
                    let len = self.burst.min(self.end.saturating_sub(self.at));
                    if len == 0 {
                        self.state = State::Poll(Awaited::Room);
                        continue;
                    }
                    self.state = State::Written;
                    let chunk = self.advance(len);
                    return Ok(Action::Write(Register::DataFifo, chunk));
                }
                State::Written => {
                    self.waited = 0;
                    self.state = if self.at >= self.end {
                        State::Poll(Awaited::CommandTaken)
                    } else {
                        State::Write
                    };
                }
                State::ClearInterrupt => {
                    self.state = State::Go;
                    return Ok(Action::Write(
                        Register::IntStatus,
                        &super::register::INT_CLEAR,
                    ));
                }
                State::Go => {
                    self.at = 0;
                    self.end = HEADER_LEN;
                    self.state = State::Poll(Awaited::Response);
                    return Ok(Action::Write(Register::Status, &[status::GO]));
                }
                State::Cancel(awaited) => {
                    self.cancelled = true;
                    self.waited = 0;
                    self.state = match awaited {
                        Awaited::Ready => State::Abort,
                        other => State::Poll(other),
                    };
                    return Ok(Action::Write(
                        Register::StatusUpper,
                        &[status_upper::COMMAND_CANCEL],
                    ));
                }
                State::Read => {
                    let len = self.burst.min(self.end.saturating_sub(self.at));
                    if len == 0 {
                        self.state = State::Poll(Awaited::Rest);
                        continue;
                    }
                    self.state = State::HaveRead;
                    let chunk = self.advance(len);
                    return Ok(Action::Read(Register::DataFifo, chunk));
                }
                State::HaveRead => {
                    self.waited = 0;
                    self.state = State::Read;
                    if self.at == HEADER_LEN && self.end == HEADER_LEN {
                        let size = response_size(self.buffer);
                        if (HEADER_LEN..=self.buffer.len()).contains(&size) {
                            self.end = size;
                        } else {
                            self.retry(size)?;
                            continue;
                        }
                    }
                    if self.at >= self.end {
                        self.state = State::Poll(Awaited::ResponseTaken);
                    }
                }
                State::Retry => {
                    self.at = 0;
                    self.end = HEADER_LEN;
                    self.state = State::Poll(Awaited::Rest);
                    return Ok(Action::Write(Register::Status, &[status::RESPONSE_RETRY]));
                }
                State::Finish => {
                    self.state = State::Finished;
                    return Ok(Action::Write(Register::Status, &[status::COMMAND_READY]));
                }
                State::Finished => return Ok(Action::Done(self.end)),
            }
        }
    }

    /// What the status that has been read means for who awaits `awaited`; `None` to go on at once.
    fn judge(&mut self, awaited: Awaited) -> Result<Option<Simple>, Fault> {
        if !self.makes_sense() {
            self.state = State::Suspect(awaited);
            return Ok(Some(Simple::ReadAccess));
        }
        let burst_is_known = awaited.needs_burst();
        if burst_is_known {
            self.take_burst();
        }
        let there_is_room = !burst_is_known || self.burst > 0;
        let valid = self.has(status::VALID);
        let (arrived, next) = match awaited {
            Awaited::Ready => (self.has(status::COMMAND_READY), State::Write),
            Awaited::Room => (
                valid && there_is_room && (self.at == 0 || self.has(status::EXPECT)),
                State::Write,
            ),
            Awaited::CommandTaken => (
                valid && !self.has(status::EXPECT),
                if self.interrupt {
                    State::ClearInterrupt
                } else {
                    State::Go
                },
            ),
            Awaited::Response | Awaited::Rest => (
                valid && there_is_room && self.has(status::DATA_AVAILABLE),
                State::Read,
            ),
            Awaited::ResponseTaken => (valid && !self.has(status::DATA_AVAILABLE), State::Finish),
        };
        if arrived {
            self.waited = 0;
            self.state = next;
            return Ok(None);
        }
        // The chip has said more than its header announced, or less.
        let contradicts = match awaited {
            Awaited::ResponseTaken => valid,
            Awaited::Rest => valid && !self.has(status::DATA_AVAILABLE),
            _ => false,
        };
        if contradicts {
            self.retry(self.end)?;
            return Ok(None);
        }
        self.wait(awaited).map(Some)
    }

    /// What the access register means for who found no sense in the status.
    fn suspect(&mut self, awaited: Awaited) -> Result<Simple, Fault> {
        let [value] = self.access;
        let is_there = value != 0xff && value & access::VALID != 0;
        if is_there && value & access::ACTIVE_LOCALITY == 0 {
            if !matches!(awaited, Awaited::Ready) {
                return Err(Fault::LocalityLost);
            }
            self.state = State::Begin;
            return Ok(Simple::RequestLocality);
        }
        if !is_there && self.waited >= TIMEOUT_A {
            return Err(Fault::Gone);
        }
        let pause = self.wait(awaited)?;
        if matches!(awaited, Awaited::Ready) && matches!(self.state, State::Poll(_)) {
            self.state = State::Begin;
        }
        Ok(pause)
    }

    /// Another look a little later, or no more.
    fn wait(&mut self, awaited: Awaited) -> Result<Simple, Fault> {
        let limit = match awaited {
            Awaited::Room => TIMEOUT_A,
            Awaited::Response if !self.cancelled => self.limit,
            Awaited::Ready if !self.cancelled => TIMEOUT_C,
            Awaited::Ready | Awaited::Response => TIMEOUT_B,
            Awaited::CommandTaken | Awaited::Rest | Awaited::ResponseTaken => TIMEOUT_C,
        };
        if self.waited >= limit {
            if self.cancelled || !matches!(awaited, Awaited::Ready | Awaited::Response) {
                return Err(Fault::Timeout(awaited));
            }
            self.state = State::Cancel(awaited);
            return Ok(Simple::Nothing);
        }
        let interruptible = self.interrupt && matches!(awaited, Awaited::Response);
        let longest = if interruptible {
            LONGEST_PAUSE_WITH_INTERRUPT
        } else {
            LONGEST_PAUSE
        };
        let pause = (self.waited >> 1).clamp(SHORTEST_PAUSE, longest);
        self.waited = self.waited.saturating_add(pause);
        self.state = State::Poll(awaited);
        Ok(if interruptible {
            Simple::PauseOrInterrupt(pause)
        } else {
            Simple::Pause(pause)
        })
    }

    /// Has the chip say its response again; `size` is what was wrong with it.
    fn retry(&mut self, size: usize) -> Result<(), Fault> {
        if self.retries >= MAX_RETRIES {
            return Err(Fault::ResponseSize(size));
        }
        self.retries = self.retries.saturating_add(1);
        self.state = State::Retry;
        Ok(())
    }

    fn perform(&mut self, simple: Simple) -> Action<'_> {
        match simple {
            Simple::ReadAccess => Action::Read(Register::Access, &mut self.access),
            Simple::RequestLocality => Action::RequestLocality,
            Simple::Pause(pause) => Action::Pause(pause),
            Simple::PauseOrInterrupt(pause) => Action::PauseOrInterrupt(pause),
            Simple::Nothing => Action::Pause(0),
        }
    }

    /// The next bytes of the buffer to write or read, at most `len`.
    fn advance(&mut self, len: usize) -> &mut [u8] {
        let len = len.min(MAX_TRANSFER);
        self.burst = self.burst.saturating_sub(len);
        let start = self.at;
        self.at = start.saturating_add(len);
        self.buffer.get_mut(start..self.at).unwrap_or_default()
    }

    fn take_burst(&mut self) {
        let [_, low, high, _] = self.status;
        self.burst = usize::from(u16::from_le_bytes([low, high]));
    }

    fn has(&self, bit: u8) -> bool {
        let [status, ..] = self.status;
        status & bit != 0
    }

    /// Whether this is a chip's status at all: all ones come from an empty bus and from a locality that is not active.
    fn makes_sense(&self) -> bool {
        !self.has(status::ZERO)
    }
}

/// An action that borrows nothing.
#[derive(Clone, Copy)]
enum Simple {
    ReadAccess,
    RequestLocality,
    Pause(u32),
    PauseOrInterrupt(u32),
    Nothing,
}

impl Awaited {
    fn needs_burst(self) -> bool {
        matches!(self, Self::Ready | Self::Room | Self::Response | Self::Rest)
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
