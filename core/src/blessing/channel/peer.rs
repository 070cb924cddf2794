use super::ChannelError;
use crate::{
    blessing::{
        BlessingError, Blessings, Discharge, Discharges,
        vom::{Stream, Types, VomError},
    },
    wire::Reader,
};
use core::ops::Range;

/// The longest type definitions of a blessings stream, in bytes. Upstream's have 1,125, without their numbers and lengths less.
const DEFINITIONS_LEN: usize = 1280;

/// The most sets of blessings and discharges that a peer may present on a connection.
const MAX_ENTRIES: usize = 8;

/// The blessings and discharges that a peer has presented on a connection, in at most `LEN` bytes.
pub(super) struct PeerBlessings<const LEN: usize> {
    stream: Stream<DEFINITIONS_LEN>,
    /// The values of all entries, and after them bytes of a value that is not complete.
    bytes: heapless::Vec<u8, LEN>,
    /// The number of the bytes that belong to entries.
    used: usize,
    entries: heapless::Vec<Entry, MAX_ENTRIES>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// The number by which messages refer to it.
    key: u64,
    kind: Kind,
    /// The type of the value.
    id: u64,
    start: usize,
    len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blessings,
    Discharges,
}

impl<const LEN: usize> PeerBlessings<LEN> {
    pub(super) const fn new() -> Self {
        Self {
            stream: Stream::new(),
            bytes: heapless::Vec::new(),
            used: 0,
            entries: heapless::Vec::new(),
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.stream.clear();
        self.bytes.clear();
        self.used = 0;
        self.entries.clear();
    }

    /// Takes a payload of the peer's blessings flow.
    pub(super) fn feed(&mut self, payload: &[u8]) -> Result<(), ChannelError> {
        // Definitions need no memory among the values, so the payload is taken in pieces.
        for piece in payload.chunks(64) {
            self.bytes
                .extend_from_slice(piece)
                .map_err(|_| ChannelError::TooManyBlessings)?;
            self.take_complete()?;
        }
        Ok(())
    }

    /// Takes the values that are complete.
    fn take_complete(&mut self) -> Result<(), ChannelError> {
        loop {
            let pending = self.bytes.get(self.used..).unwrap_or_default();
            let mut reader = Reader::new(pending);
            let value = self.stream.next(&mut reader)?;
            let consumed = pending.len().saturating_sub(reader.rest().len());
            let end = self.used.saturating_add(consumed);
            let Some((id, value)) = value else {
                self.keep(0..0, end);
                return Ok(());
            };
            let entry = entry(self.stream.types(), id, value)?;
            let is_known = |known: &Entry| known.key == entry.key;
            if entry.key == 0 || self.entries.iter().any(is_known) {
                return Err(ChannelError::Key);
            }
            let start = end.saturating_sub(value.len()).saturating_add(entry.start);
            let kept = Entry {
                start: self.used,
                ..entry
            };
            self.keep(start..start.saturating_add(entry.len), end);
            self.used = self.used.saturating_add(entry.len);
            self.entries
                .push(kept)
                .map_err(|_| ChannelError::TooManyBlessings)?;
        }
    }

    /// Moves these bytes to the end of those that are used, and what follows `end` behind them. The other bytes are forgotten.
    fn keep(&mut self, bytes: Range<usize>, end: usize) {
        let (kept, rest) = (bytes.len(), self.bytes.len().saturating_sub(end));
        let behind = self.used.saturating_add(kept);
        // No range goes beyond the bytes: all of them are parts of what was just read.
        if bytes.end <= end && end <= self.bytes.len() && behind <= end {
            self.bytes.copy_within(bytes, self.used);
            self.bytes.copy_within(end.., behind);
            self.bytes.truncate(behind.saturating_add(rest));
        }
    }

    /// Returns the blessings with this number.
    pub(super) fn blessings(&self, key: u64) -> Result<Blessings<'_>, ChannelError> {
        let (entry, value) = self.find(key, Kind::Blessings)?;
        Ok(Blessings {
            types: self.stream.types(),
            id: entry.id,
            value: Reader::new(value),
        })
    }

    /// Returns the discharges with this number; none for number 0.
    pub(super) fn discharges(&self, key: u64) -> Result<PeerDischarges<'_>, ChannelError> {
        if key == 0 {
            return Ok(PeerDischarges(None));
        }
        let (entry, value) = self.find(key, Kind::Discharges)?;
        Ok(PeerDischarges(Some((
            self.stream.types(),
            entry.id,
            Reader::new(value),
        ))))
    }

    fn find(&self, key: u64, kind: Kind) -> Result<(&Entry, &[u8]), ChannelError> {
        let mut entries = self.entries.iter();
        let entry = entries
            .find(|entry| entry.key == key && entry.kind == kind)
            .ok_or(ChannelError::Key)?;
        let value = self.bytes.get(entry.start..).unwrap_or_default();
        Ok((entry, value.get(..entry.len).unwrap_or_default()))
    }
}

/// Reads a value of the union BlessingsFlowMessage. The start of the entry is counted from that of the value.
fn entry<'t>(types: Types<'t>, id: u64, value: &'t [u8]) -> Result<Entry, ChannelError> {
    let mut entry = Entry {
        key: 0,
        kind: Kind::Blessings,
        id: 0,
        start: 0,
        len: 0,
    };
    let mut reader = Reader::new(value);
    let (name, id) = types.choice(id, &mut reader)?;
    let (own, key): (&[u8], &[u8]) = match name {
        b"Blessings" => (b"Blessings", b"BKey"),
        b"Discharges" => {
            entry.kind = Kind::Discharges;
            (b"Discharges", b"DKey")
        }
        // Encrypted blessings are for private mutual authentication, which this implementation does not have.
        _ => return Err(ChannelError::Malformed),
    };
    types.fields::<VomError>(id, &mut reader, &mut |name, field, reader| {
        if name == own {
            let before = reader.rest().len();
            entry.id = field;
            entry.start = value.len().saturating_sub(before);
            types.skip_value(field, reader)?;
            entry.len = before.saturating_sub(reader.rest().len());
            return Ok(true);
        }
        if name == key {
            entry.key = types.unsigned(field, reader)?;
            return Ok(true);
        }
        Ok(false)
    })?;
    if !reader.is_empty() {
        return Err(ChannelError::Malformed);
    }
    Ok(entry)
}

/// Discharges that a peer has presented.
#[derive(Clone, Copy)]
pub struct PeerDischarges<'a>(Option<(Types<'a>, u64, Reader<'a>)>);

impl PeerDischarges<'_> {
    /// Calls `f` with each discharge until it returns false.
    ///
    /// # Errors
    /// [`BlessingError::Vom`] if a discharge is malformed.
    pub fn for_each(&self, f: &mut dyn FnMut(&Discharge<'_>) -> bool) -> Result<(), BlessingError> {
        let Some((types, id, mut reader)) = self.0 else {
            return Ok(());
        };
        let (count, element) = types.list(id, &mut reader)?;
        for _ in 0..count {
            if !f(&Discharge::read(types, element, &mut reader)?) {
                break;
            }
        }
        Ok(())
    }
}

impl Discharges for PeerDischarges<'_> {
    fn find(&self, caveat_id: &str, use_it: &mut dyn FnMut(&Discharge<'_>)) {
        // Discharges that are malformed satisfy no caveat.
        let _ = self.for_each(&mut |discharge| {
            let is_found = discharge.caveat_id == caveat_id;
            if is_found {
                use_it(discharge);
            }
            !is_found
        });
    }
}

impl<const LEN: usize> core::fmt::Debug for PeerBlessings<LEN> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PeerBlessings({})", self.entries.len())
    }
}
