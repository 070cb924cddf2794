//! The meaning of a status for what is awaited, and how long it is waited for.

use super::{
    super::{Awaited, register::status},
    Action, Fault, Machine, State,
};

impl Machine<'_> {
    /// Whether what was awaited is there, by the status that has been read: then what comes next.
    pub(super) fn check_status(&mut self, awaited: Awaited) -> Result<Option<State>, Fault> {
        self.missed = 0;
        let burst_is_known = awaited.needs_burst();
        if burst_is_known {
            self.take_burst();
        }
        let there_is_room = !burst_is_known || self.burst > 0;
        let valid = self.has(status::VALID);
        let data = valid && self.has(status::DATA_AVAILABLE);
        let (arrived, next) = match awaited {
            Awaited::Ready => (self.has(status::COMMAND_READY), State::Write),
            Awaited::Room => (
                valid && there_is_room && (self.at == 0 || self.has(status::EXPECT)),
                State::Write,
            ),
            Awaited::CommandTaken => (
                valid && !self.has(status::EXPECT),
                if self.pins.interrupt {
                    State::ClearInterrupt
                } else {
                    State::Go
                },
            ),
            Awaited::Response | Awaited::Rest => (data && there_is_room, State::Read),
            Awaited::ResponseTaken => (valid && !data, State::Finish),
        };
        if arrived {
            self.waited = 0;
            // A cancel that made the chip ready has nothing to do with the command that comes.
            self.cancelled &= !matches!(awaited, Awaited::Ready);
            return Ok(Some(next));
        }
        // The chip has said more than its header announced, or less.
        match awaited {
            Awaited::ResponseTaken if valid => self.retry(self.end).map(Some),
            Awaited::Rest if valid && !data => self.retry(self.end).map(Some),
            _ => Ok(None),
        }
    }

    /// Another look a little later, or no more.
    pub(super) fn wait(&mut self, awaited: Awaited) -> Result<Action, Fault> {
        let limit = match awaited {
            Awaited::Response if !self.cancelled => self.limit,
            Awaited::Ready | Awaited::Response => TIMEOUT_B,
            Awaited::Room => TIMEOUT_A,
            _ => TIMEOUT_C,
        };
        if self.waited >= limit {
            let fault = Fault::Timeout(awaited);
            self.state = match awaited {
                // What the chip still does is cancelled, so that it answers, or becomes ready.
                Awaited::Ready | Awaited::Response if !self.cancelled => State::Cancel(awaited),
                // Chips are known that get stuck here; nothing has been executed yet, so the command can be sent again.
                Awaited::Room | Awaited::CommandTaken => self.again(State::Resend, fault)?,
                _ => return Err(fault),
            };
            return Ok(Action::Again);
        }
        let next = match (awaited, self.state) {
            // The chip may have come back in any state.
            (Awaited::Ready, State::Suspect(_)) => State::Begin,
            // Two writes of commandReady are needed after some states: to idle, and from there to ready (PTP section 6.5.2.5).
            (Awaited::Ready, _) if self.waited >= self.ready_again => {
                self.ready_again = self.ready_again.saturating_mul(10);
                State::Begin
            }
            _ => State::Poll(awaited),
        };
        if matches!(awaited, Awaited::Response) && self.listens {
            self.next_pause(LONGEST_PAUSE_WITH_INTERRUPT);
            self.state = next;
            return Ok(Action::PauseOrInterrupt);
        }
        Ok(self.pause_before(next))
    }

    /// The interrupt has ended the pause early. If that was for nothing, the pin is not to be relied on.
    pub(in super::super) fn interrupted(&mut self) {
        self.waited = self.waited.saturating_sub(self.micros);
        self.listens = false;
    }

    #[inline(never)]
    pub(super) fn pause_before(&mut self, next: State) -> Action {
        self.state = next;
        self.next_pause(LONGEST_PAUSE);
        Action::Pause
    }

    fn next_pause(&mut self, longest: u32) {
        self.micros = (self.waited >> 1).clamp(SHORTEST_PAUSE, longest);
        self.waited = self.waited.saturating_add(self.micros);
    }

    /// Has the chip say its response again; `size` is what was wrong with it.
    pub(super) fn retry(&mut self, size: usize) -> Result<State, Fault> {
        self.again(State::Retry, Fault::ResponseSize(size))
    }

    pub(super) fn again(&mut self, state: State, fault: Fault) -> Result<State, Fault> {
        if self.retries >= MAX_RETRIES {
            return Err(fault);
        }
        self.retries = self.retries.saturating_add(1);
        Ok(state)
    }
}

impl Awaited {
    pub(super) fn needs_burst(self) -> bool {
        matches!(self, Self::Ready | Self::Room | Self::Response | Self::Rest)
    }
}

/// Time-outs of the interface, in microseconds (PTP section 6.5.1.4): A as there, B and C as long as chips in the field have been
/// seen to need, twice that of the specification and more.
pub(super) const TIMEOUT_A: u32 = 750_000;
const TIMEOUT_B: u32 = 4_000_000;
const TIMEOUT_C: u32 = 2_500_000;

/// The first pause between two looks at a register; later ones are half of what has been waited already.
const SHORTEST_PAUSE: u32 = 100;
const LONGEST_PAUSE: u32 = 20_000;
/// Where an interrupt ends a pause, looking is for lost interrupts only.
const LONGEST_PAUSE_WITH_INTERRUPT: u32 = 500_000;

/// How often a command is sent again that the chip did not take, or a response is asked for again.
const MAX_RETRIES: u8 = 2;
