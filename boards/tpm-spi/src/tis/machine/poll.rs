//! Waiting for a state of the chip: the evaluation of its status, and the time limits.

use super::{
    super::{Awaited, register::status},
    Action, Fault, Machine, State,
};

impl Machine<'_> {
    /// Evaluates the status that was read. Returns the next state if the awaited state is reached, `None` otherwise.
    pub(super) fn check_status(&mut self, awaited: Awaited) -> Result<Option<State>, Fault> {
        self.invalid_reads = 0;
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
            // A cancel that made the chip ready does not count for the next command.
            self.cancelled &= !matches!(awaited, Awaited::Ready);
            return Ok(Some(next));
        }
        // The chip has sent more bytes than the header announced, or fewer.
        match awaited {
            Awaited::ResponseTaken if valid => self.retry(self.end).map(Some),
            Awaited::Rest if valid && !data => self.retry(self.end).map(Some),
            _ => Ok(None),
        }
    }

    /// Waits before the next read of the status, or ends the wait at its time limit.
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
                // Cancel the command that the chip runs, so that it responds or becomes ready.
                Awaited::Ready | Awaited::Response if !self.cancelled => State::Cancel(awaited),
                // Some chips get stuck here. The command has not been executed yet, so it can be sent again.
                Awaited::Room | Awaited::CommandTaken => self.count_retry(State::Resend, fault)?,
                _ => return Err(fault),
            };
            return Ok(Action::Continue);
        }
        let next = match (awaited, self.state) {
            // The chip may have returned in any state.
            (Awaited::Ready, State::CheckAccess(_)) => State::Begin,
            // Some states need two writes of commandReady: one to idle, and one from idle to ready (PTP section 6.5.2.5).
            (Awaited::Ready, _) if self.waited >= self.ready_again => {
                self.ready_again = self.ready_again.saturating_mul(10);
                State::Begin
            }
            _ => State::Poll(awaited),
        };
        if matches!(awaited, Awaited::Response) && self.uses_interrupt {
            self.next_pause(LONGEST_PAUSE_WITH_INTERRUPT);
            self.state = next;
            return Ok(Action::PauseOrInterrupt);
        }
        Ok(self.pause_before(next))
    }

    /// Records that an interrupt ended the pause early. The pin is not used again for this command, as it is not reliable if
    /// there was no response.
    pub(in super::super) fn interrupted(&mut self) {
        self.waited = self.waited.saturating_sub(self.micros);
        self.uses_interrupt = false;
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

    /// Returns the state that requests the response again; `size` is the invalid size of the response.
    pub(super) fn retry(&mut self, size: usize) -> Result<State, Fault> {
        self.count_retry(State::Retry, Fault::ResponseSize(size))
    }

    /// Counts a retry and returns `state`, or `fault` after the last retry.
    pub(super) fn count_retry(&mut self, state: State, fault: Fault) -> Result<State, Fault> {
        if self.retries >= MAX_RETRIES {
            return Err(fault);
        }
        self.retries = self.retries.saturating_add(1);
        Ok(state)
    }
}

impl Awaited {
    /// Returns true if the wait for this state needs the burst count.
    pub(super) fn needs_burst(self) -> bool {
        matches!(self, Self::Ready | Self::Room | Self::Response | Self::Rest)
    }
}

/// Time-outs of the interface, in microseconds (PTP section 6.5.1.4). A is that of the specification. B and C are at least twice
/// those of the specification, because chips in the field need longer.
pub(super) const TIMEOUT_A: u32 = 750_000;
const TIMEOUT_B: u32 = 4_000_000;
const TIMEOUT_C: u32 = 2_500_000;

/// Limits of the pause between two reads of a register, in microseconds. The pause is half of the time waited so far.
const SHORTEST_PAUSE: u32 = 100;
const LONGEST_PAUSE: u32 = 20_000;
/// Maximum pause if an interrupt can end it, in microseconds. Polling then only detects lost interrupts.
const LONGEST_PAUSE_WITH_INTERRUPT: u32 = 500_000;

/// Maximum number of retries in one exchange: of a command that the chip did not receive, or of a response.
const MAX_RETRIES: u8 = 2;
