//! The chip behind the transport: registers of localities, the FIFO and its states (PTP section 6.5).

use crate::{Event, Script, tpm::Computes};

/// A violation of the specification by the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The driver clocked a byte while the chip select was high.
    NotSelected,
    /// The second byte of the header was this value instead of D4.
    Address(u8),
    /// The driver clocked more data bytes than the header announced, or more than 64.
    TooManyBytes,
    /// The chip select went high before header, wait states and data were complete.
    CutShort,
    /// An inactive locality accessed a register that only the active locality may access: locality, register.
    WrongLocality(u8, u16),
    /// The driver accessed a register that does not exist.
    NoRegister(u16),
    /// The driver wrote a value with no bit or several bits set to the access register.
    AccessBits(u8),
    /// The driver wrote a value with no bit or several bits set, or a bit that is not writable, to the status register.
    StatusBits(u8),
    /// The driver wrote a byte to the FIFO while the chip expected none.
    NotExpected,
    /// The driver wrote or read a byte beyond the burst count.
    BurstCount,
    /// The driver wrote `tpmGo` before the command was complete.
    GoTooEarly,
    /// The driver read a byte from the FIFO while the FIFO was empty.
    NoData,
    /// The driver wrote `responseRetry` while there was no response.
    NothingToRetry,
    /// The driver relied on Expect or dataAvail without stsValid.
    StatusNotValid,
    /// The chip select was high for fewer microseconds than the chip needs.
    Idle(u64),
    /// RST# was high for fewer microseconds than the chip needs, before a pulse or after it.
    ResetTiming(u64),
}

/// The state of the FIFO.
#[derive(Debug)]
enum State {
    Idle,
    /// The chip becomes ready at this time.
    BecomesReady(u64),
    Ready,
    Reception(Vec<u8>),
    /// The chip executes this command until this time.
    Execution(Vec<u8>, u64),
    /// The response, and the number of bytes of it that were read.
    Completion(Vec<u8>, usize),
}

const LOCALITIES: usize = 5;

pub(crate) struct Chip {
    tpm: Box<dyn Computes>,
    pub(crate) script: Script,
    state: State,
    active: Option<u8>,
    requested: [bool; LOCALITIES],
    seized: [bool; LOCALITIES],
    /// The time from which the chip responds. Before, it reads as all ones.
    up_at: u64,
    /// The byte that an undriven bus reads as, if the chip has disappeared.
    gone: Option<u8>,
    valid_at: u64,
    /// Number of bytes that may pass the FIFO before the status is read again.
    allowance: u16,
    shown_burst: u16,
    /// True if the last status that was read had stsValid set, and the state has not changed since.
    valid_was_seen: bool,
    /// True if the status, which contains Expect, was read since the last byte was written.
    expect_was_read: bool,
    status_reads: u64,
    fifo_reads: u64,
    fifo_writes: u64,
    interrupt_enable: [u8; 4],
    interrupt_status: u8,
    pub(crate) violations: Vec<Violation>,
    /// The commands and responses that have passed the FIFO.
    pub(crate) commands: Vec<Vec<u8>>,
    pub(crate) responses: Vec<Vec<u8>>,
}

impl Chip {
    pub(crate) fn new(tpm: Box<dyn Computes>) -> Self {
        Self {
            tpm,
            script: Script::default(),
            state: State::Idle,
            active: None,
            requested: [false; LOCALITIES],
            seized: [false; LOCALITIES],
            up_at: 0,
            gone: None,
            valid_at: 0,
            allowance: 0,
            shown_burst: 0,
            valid_was_seen: false,
            expect_was_read: false,
            status_reads: 0,
            fifo_reads: 0,
            fifo_writes: 0,
            interrupt_enable: [0; 4],
            interrupt_status: 0,
            violations: Vec::new(),
            commands: Vec::new(),
            responses: Vec::new(),
        }
    }

    pub(crate) fn event(&mut self, event: Event, now: u64) {
        match event {
            Event::Reset => self.reset(now),
            Event::VanishHigh => self.gone = Some(0xff),
            Event::VanishLow => self.gone = Some(0x00),
            Event::Return => {
                self.gone = None;
                self.reset(now);
            }
            Event::Seize(locality) => {
                if let Some(active) = self.active {
                    self.seized[usize::from(active)] = true;
                }
                self.active = Some(locality);
                self.state = State::Idle;
            }
            Event::Relinquish(locality) => self.relinquish(locality),
        }
    }

    pub(crate) fn reset(&mut self, now: u64) {
        self.state = State::Idle;
        self.active = None;
        self.requested = [false; LOCALITIES];
        self.seized = [false; LOCALITIES];
        self.interrupt_enable = [0; 4];
        self.interrupt_status = 0;
        self.up_at = now + self.script.start_up;
        self.tpm
            .reset()
            .expect("the TPM behind the emulated chip must reset");
    }

    /// Returns the byte that the bus reads as if the chip does not drive it, or `None` if the chip drives it.
    pub(crate) fn undriven_byte(&self, now: u64) -> Option<u8> {
        self.gone.or((now < self.up_at).then_some(0xff))
    }

    /// Returns true if PIRQ# is low.
    pub(crate) fn interrupts(&mut self, now: u64) -> bool {
        self.advance(now);
        let [enabled, _, _, global] = self.interrupt_enable;
        global & 0x80 != 0 && enabled & self.interrupt_status != 0
    }

    /// Returns the byte of a register at `offset` from the address in the header.
    pub(crate) fn read(&mut self, locality: u8, register: u16, offset: u16, now: u64) -> u8 {
        self.advance(now);
        if usize::from(locality) >= LOCALITIES {
            return 0xff;
        }
        let active = self.active == Some(locality);
        if register == 0x24 {
            return self.read_fifo(active, locality);
        }
        match register + offset {
            0x00 => self.access(locality),
            0x08..=0x0b => self.interrupt_enable[usize::from(register + offset - 0x08)],
            0x10 => self.interrupt_status,
            // Interrupts on data, status, locality and ready; level low; static burst count off; transfers of 64 bytes.
            address @ 0x14..=0x17 => byte_of(0x3000_0697, address - 0x14),
            address @ 0x18..=0x1b => {
                if !active {
                    return 0xff;
                }
                let status = self.status(offset == 0, now);
                byte_of(status, address - 0x18)
            }
            address @ 0xf00..=0xf03 => byte_of(self.script.did_vid, address - 0xf00),
            0xf04 => 0x10,
            address => {
                self.violations.push(Violation::NoRegister(address));
                0xff
            }
        }
    }

    pub(crate) fn write(&mut self, locality: u8, register: u16, offset: u16, byte: u8, now: u64) {
        self.advance(now);
        if usize::from(locality) >= LOCALITIES {
            return;
        }
        let address = if register == 0x24 {
            register
        } else {
            register + offset
        };
        if address != 0x00 && self.active != Some(locality) {
            self.violations
                .push(Violation::WrongLocality(locality, address));
            return;
        }
        match address {
            0x00 => self.write_access(locality, byte, now),
            0x08..=0x0b => self.interrupt_enable[usize::from(address - 0x08)] = byte,
            0x10 => self.interrupt_status &= !byte,
            0x18 => self.write_status(byte, now),
            0x19 | 0x1a => {}
            0x1b => {
                if byte & 0x01 != 0 {
                    self.cancel(now);
                }
            }
            0x24 => self.write_fifo(byte, now),
            address => self.violations.push(Violation::NoRegister(address)),
        }
    }

    pub(crate) fn access(&self, locality: u8) -> u8 {
        let place = usize::from(locality);
        let others = (0..LOCALITIES).any(|other| other != place && self.requested[other]);
        let mut value = 0x81;
        for (bit, is_set) in [
            (0x20, self.active == Some(locality)),
            (0x10, self.seized[place]),
            (0x04, others),
            (0x02, self.requested[place]),
        ] {
            if is_set {
                value |= bit;
            }
        }
        value
    }

    fn write_access(&mut self, locality: u8, byte: u8, now: u64) {
        if byte.count_ones() != 1 {
            self.violations.push(Violation::AccessBits(byte));
            return;
        }
        let place = usize::from(locality);
        match byte {
            0x02 => match self.active {
                None => self.active = Some(locality),
                Some(active) if active == locality => {}
                Some(_) => self.requested[place] = true,
            },
            0x08 => {
                if self.active.is_some_and(|active| active < locality) {
                    self.event(Event::Seize(locality), now);
                } else if self.active.is_none() {
                    self.active = Some(locality);
                }
            }
            0x10 => self.seized[place] = false,
            0x20 => {
                self.requested[place] = false;
                self.relinquish(locality);
            }
            _ => {}
        }
    }

    fn relinquish(&mut self, locality: u8) {
        if self.active != Some(locality) {
            return;
        }
        self.state = State::Idle;
        self.active = (0..5u8)
            .rev()
            .find(|&other| self.requested[usize::from(other)]);
        if let Some(next) = self.active {
            self.requested[usize::from(next)] = false;
        }
    }

    fn status(&mut self, first: bool, now: u64) -> u32 {
        if first {
            self.status_reads += 1;
            self.shown_burst = match self.state {
                State::Idle | State::BecomesReady(_) | State::Execution(..) => 0,
                _ => (self.script.burst_count)(self.status_reads),
            };
            self.allowance = self.shown_burst;
        }
        let mut low = match &self.state {
            State::Ready => 0x40,
            State::Reception(command) if command.len() < expected_len(command) => 0x08,
            State::Completion(response, at) if *at < response.len() => 0x10,
            _ => 0,
        };
        if first {
            self.expect_was_read = true;
            self.valid_was_seen = now >= self.valid_at;
        }
        if now >= self.valid_at {
            low |= 0x80;
        } else {
            // A driver must not rely on Expect and dataAvail without stsValid: show inverted values.
            low ^= 0x18;
        }
        let family = if self.script.is_tpm_2 { 0x0400_0000 } else { 0 };
        low | u32::from(self.shown_burst) << 8 | family
    }

    fn write_status(&mut self, byte: u8, now: u64) {
        if byte.count_ones() != 1 {
            self.violations.push(Violation::StatusBits(byte));
            return;
        }
        match byte {
            0x40 => {
                let from_rest = matches!(self.state, State::Idle | State::BecomesReady(_));
                self.state = match &self.state {
                    State::Ready => State::Ready,
                    State::BecomesReady(at) => State::BecomesReady(*at),
                    _ if from_rest || self.script.ready_at_once => {
                        State::BecomesReady(now + self.script.ready_after)
                    }
                    _ => State::Idle,
                };
                self.state_changed(now);
            }
            0x20 => match std::mem::replace(&mut self.state, State::Idle) {
                State::Reception(command) if command.len() == expected_len(&command) => {
                    self.require_valid();
                    let until = now.saturating_add((self.script.execution)(&command));
                    self.state = State::Execution(command, until);
                    self.state_changed(now);
                }
                other => {
                    self.state = other;
                    self.violations.push(Violation::GoTooEarly);
                }
            },
            0x02 => match &mut self.state {
                State::Completion(_, at) => {
                    *at = 0;
                    self.state_changed(now);
                }
                _ => self.violations.push(Violation::NothingToRetry),
            },
            _ => self.violations.push(Violation::StatusBits(byte)),
        }
        self.advance(now);
    }

    fn require_valid(&mut self) {
        if !self.valid_was_seen {
            self.violations.push(Violation::StatusNotValid);
        }
    }

    fn cancel(&mut self, now: u64) {
        if self.script.can_be_cancelled && matches!(self.state, State::Execution(..)) {
            // TPM_RC_CANCELED
            self.complete(vec![0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x09, 0x09], now);
        }
    }

    fn write_fifo(&mut self, byte: u8, now: u64) {
        if matches!(self.state, State::Ready) {
            self.state = State::Reception(Vec::new());
        } else if self.expect_was_read && matches!(&self.state, State::Reception(_)) {
            self.require_valid();
        }
        self.expect_was_read = false;
        let State::Reception(command) = &mut self.state else {
            self.violations.push(Violation::NotExpected);
            return;
        };
        if command.len() >= expected_len(command) {
            self.violations.push(Violation::NotExpected);
            return;
        }
        if self.allowance == 0 {
            self.violations.push(Violation::BurstCount);
            return;
        }
        self.allowance -= 1;
        self.fifo_writes += 1;
        if !(self.script.takes)(self.fifo_writes) {
            return;
        }
        command.push(byte);
        if command.len() == expected_len(command) {
            self.state_changed(now);
        }
    }

    fn read_fifo(&mut self, active: bool, locality: u8) -> u8 {
        if !active {
            self.violations
                .push(Violation::WrongLocality(locality, 0x24));
            return 0xff;
        }
        let State::Completion(response, at) = &mut self.state else {
            self.violations.push(Violation::NoData);
            return 0xff;
        };
        let Some(&byte) = response.get(*at) else {
            self.violations.push(Violation::NoData);
            return 0xff;
        };
        if self.allowance == 0 {
            self.violations.push(Violation::BurstCount);
            return 0xff;
        }
        if !self.valid_was_seen {
            self.violations.push(Violation::StatusNotValid);
        }
        self.allowance -= 1;
        *at += 1;
        self.fifo_reads += 1;
        (self.script.fifo)(self.fifo_reads, byte)
    }

    /// Applies the changes of state that are due.
    fn advance(&mut self, now: u64) {
        match &self.state {
            State::BecomesReady(at) if now >= *at => {
                self.state = State::Ready;
                self.interrupt_status |= 0x80;
            }
            State::Execution(command, until) if now >= *until => {
                let command = command.clone();
                self.commands.push(command.clone());
                if let Some(refusal) = (self.script.refusal)(&command) {
                    self.complete(refusal, now);
                    return;
                }
                let changed = (self.script.command)(command.clone());
                let response = self
                    .tpm
                    .execute(&changed)
                    .expect("the TPM behind the emulated chip must respond");
                let response = (self.script.response)(&command, response);
                self.complete(response, now);
            }
            _ => {}
        }
    }

    fn complete(&mut self, response: Vec<u8>, now: u64) {
        self.responses.push(response.clone());
        self.state = State::Completion(response, 0);
        self.interrupt_status |= 0x01;
        self.state_changed(now);
    }

    /// Invalidates the burst count and the status after a change of state.
    fn state_changed(&mut self, now: u64) {
        self.allowance = 0;
        self.valid_was_seen = false;
        self.valid_at = now + self.script.status_valid_after;
    }
}

/// Returns the length of the command in the FIFO by its header, or the length of the header until it is complete.
fn expected_len(command: &[u8]) -> usize {
    match command {
        [_, _, a, b, c, d, ..] => {
            usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).map_or(10, |len| len.max(10))
        }
        _ => 10,
    }
}

fn byte_of(value: u32, at: u16) -> u8 {
    value.to_le_bytes()[usize::from(at)]
}
