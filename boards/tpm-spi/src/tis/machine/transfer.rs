//! The transactions of the machine: their data, and the handling of failures.

use super::{
    super::{
        Data,
        register::{INT_ENABLE, MAX_TRANSFER, Register},
    },
    Action, DELAYED_TRANSACTION, Fault, MAX_REPEATS, Machine, Place, State, TransferFailure,
};

impl Machine<'_> {
    /// Returns the transaction of [`Action::Transfer`].
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

    /// Records that the transaction succeeded.
    pub(in super::super) fn transferred(&mut self) {
        self.failures = 0;
    }

    /// Handles the failure of a transaction. Returns false if it cannot be recovered.
    ///
    /// Registers can be read or written again: a write that is repeated, even of `tpmGo`, takes effect only once. After a failed
    /// access to the FIFO, the position of the chip is unknown: the command is sent again from its first byte, or the response is
    /// requested again.
    #[inline(never)]
    pub(in super::super) fn transfer_failed(&mut self, failed: TransferFailure) -> bool {
        if matches!(self.state, State::CheckChip) {
            self.register = [0; 4];
            // A chip that is starting may insert wait states for long; a bus that is pulled down looks like endless wait states.
            if failed == TransferFailure::WaitStates {
                self.waited = self.waited.saturating_add(DELAYED_TRANSACTION);
            }
            return failed == TransferFailure::WaitStates || !self.search_timed_out();
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
            Place::WriteBuffer => self.count_retry(State::Resend, Fault::Gone),
            Place::ReadBuffer => self.count_retry(State::Retry, Fault::Gone),
        };
        next.map(|next| self.state = next).is_ok()
    }

    /// Reads a register: four bytes of DID_VID, and of the status if the burst count is needed; otherwise one byte.
    pub(super) fn read(&mut self, register: Register, next: State) -> Action {
        self.len = match next {
            State::CheckStatus(awaited) if !awaited.needs_burst() => 1,
            _ if register == Register::Access => 1,
            _ => 4,
        };
        self.state = next;
        self.target = register;
        self.place = Place::ReadRegister;
        // The value that stays if the chip does not send any data.
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

    /// Returns the number of bytes that may pass the FIFO in the next transaction, or `None` if no byte may pass.
    pub(super) fn chunk_len(&self) -> Option<usize> {
        let len = self.burst.min(self.end.saturating_sub(self.at));
        (len > 0).then_some(len.min(MAX_TRANSFER))
    }

    /// Writes or reads the next `len` bytes of the buffer.
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
