//! The transactions of the machine: what is read and written, and what is done about one that fails.

use super::{
    super::{
        Data,
        register::{INT_ENABLE, MAX_TRANSFER, Register},
    },
    Action, Failed, Fault, HELD_OFF, MAX_REPEATS, Machine, Place, State,
};

impl Machine<'_> {
    /// The transaction of [`Action::Transfer`].
    pub(in super::super) fn transfer(&mut self) -> (Register, Data<'_>) {
        let range = self.at.saturating_sub(self.len)..self.at;
        let data = match self.place {
            Place::EnableInterrupts => Data::Write(&INT_ENABLE),
            Place::WriteRegister => {
                let [.., last] = &self.register;
                Data::Write(core::slice::from_ref(last))
            }
            Place::WriteBuffer => Data::Write(self.buffer.get(range).unwrap_or_default()),
            Place::ReadBuffer => Data::Read(self.buffer.get_mut(range).unwrap_or_default()),
            Place::ReadRegister => {
                Data::Read(self.register.get_mut(..self.len).unwrap_or_default())
            }
        };
        (self.target, data)
    }

    /// The transaction was done.
    pub(in super::super) fn transferred(&mut self) {
        self.failures = 0;
    }

    /// The transaction failed: decides what to do about it. Returns false where nothing is left to do.
    ///
    /// To read or write a register again is safe: what a write asks for twice, `tpmGo` included, a chip does once. Of the FIFO it is not
    /// known how far the chip has come: a command is sent again from its first byte, and a response is asked for again.
    #[inline(never)]
    pub(in super::super) fn transfer_failed(&mut self, failed: Failed) -> bool {
        if matches!(self.state, State::JudgeChip) {
            self.register = [0; 4];
            // A chip that comes up may hold transactions off; a bus that is pulled down does so for ever.
            if failed == Failed::WaitStates {
                self.waited = self.waited.saturating_add(HELD_OFF);
            }
            return failed == Failed::WaitStates || !self.has_looked_enough();
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures > MAX_REPEATS {
            return false;
        }
        let next = match self.place {
            Place::ReadRegister | Place::WriteRegister | Place::EnableInterrupts => {
                self.repeats = true;
                return true;
            }
            Place::WriteBuffer => self.again(State::Resend, Fault::Gone),
            Place::ReadBuffer => self.again(State::Retry, Fault::Gone),
        };
        next.map(|next| self.state = next).is_ok()
    }

    /// Reads a register: all of DID_VID, and of the status where the burst count is wanted; else one byte.
    pub(super) fn read(&mut self, register: Register, next: State) -> Action {
        self.len = match next {
            State::Judge(awaited) if !awaited.needs_burst() => 1,
            _ if register == Register::Access => 1,
            _ => 4,
        };
        self.state = next;
        self.target = register;
        self.place = Place::ReadRegister;
        // What a chip that holds the transaction off would leave here.
        self.register = [0; 4];
        Action::Transfer
    }

    pub(super) fn write(&mut self, register: Register, value: u8, next: State) -> Action {
        self.state = next;
        self.target = register;
        self.place = Place::WriteRegister;
        let [.., last] = &mut self.register;
        *last = value;
        Action::Transfer
    }

    /// How many bytes may pass the FIFO now, if any.
    pub(super) fn chunk_len(&self) -> Option<usize> {
        let len = self.burst.min(self.end.saturating_sub(self.at));
        (len > 0).then_some(len.min(MAX_TRANSFER))
    }

    /// The next bytes of the buffer to write or read.
    pub(super) fn advance(&mut self, len: usize, place: Place) -> Action {
        self.waited = 0;
        self.burst = self.burst.saturating_sub(len);
        self.at = self.at.saturating_add(len);
        self.len = len;
        self.target = Register::DataFifo;
        self.place = place;
        Action::Transfer
    }
}
