//! Where handshakes are watched: a slot for each that is under way.
//!
//! embedded-tls makes the hashes of its key schedule itself, so nothing says to a hash which connection it is of. What it is fed
//! does: [`crate::tap`] finds the slot by the ClientHello's random, and by the transcript's hash. Both are values, not "who is
//! running now", so that any number of handshakes may be interleaved, on threads and cores too.

use crate::transcript::{Flight, MAX_HASH_LEN};
use chanbind_core::crypto::wipe;
use core::cell::RefCell;
use critical_section::Mutex;

/// A place for `N` handshakes at a time; [`crate::handshake_slots!`] makes one of any size, [`DefaultSlots`] has four.
pub trait HandshakeSlots: 'static {
    /// The slots.
    fn table() -> &'static dyn Table;
}

/// Declares a place for so many handshakes at a time, to be named with a cipher suite.
///
/// ```
/// chanbind_embedded_tls::handshake_slots!(pub(crate) ManySlots, 16);
/// type Suite = chanbind_embedded_tls::Aes128GcmSha256<ManySlots>;
/// ```
#[macro_export]
macro_rules! handshake_slots {
    ($(#[$attribute:meta])* $visibility:vis $name:ident, $count:expr) => {
        $(#[$attribute])*
        #[derive(Debug)]
        $visibility struct $name;

        impl $crate::HandshakeSlots for $name {
            fn table() -> &'static dyn $crate::Table {
                static TABLE: $crate::SlotTable<{ $count }> = $crate::SlotTable::new();
                &TABLE
            }
        }
    };
}

handshake_slots!(
    /// Four handshakes at a time.
    pub DefaultSlots,
    4
);

/// `N` slots, about 150 bytes each.
#[derive(Debug)]
pub struct SlotTable<const N: usize>(Mutex<RefCell<[Slot; N]>>);

impl<const N: usize> SlotTable<N> {
    /// All free.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self(Mutex::new(RefCell::new([const { Slot::FREE }; N])))
    }
}

/// A [`SlotTable`] of any size.
pub trait Table: Sync + sealed::Slots {}

impl<const N: usize> Table for SlotTable<N> {}

pub(crate) mod sealed {
    use super::Slot;

    #[allow(unnameable_types, reason = "sealed")]
    pub trait Slots {
        fn with(&self, run: &mut dyn FnMut(&mut [Slot]));
    }
}

impl<const N: usize> sealed::Slots for SlotTable<N> {
    fn with(&self, run: &mut dyn FnMut(&mut [Slot])) {
        critical_section::with(|section| {
            if let Ok(mut slots) = self.0.borrow(section).try_borrow_mut() {
                run(&mut *slots);
            }
        });
    }
}

/// What is known of a handshake.
#[derive(Debug)]
#[allow(unnameable_types, reason = "sealed")]
pub struct Slot {
    /// Told apart from those who had the slot before.
    generation: u32,
    state: State,
    random: [u8; 32],
    hash_len: usize,
    /// The last hash of the transcript.
    transcript: [u8; MAX_HASH_LEN],
    main_secret: [u8; MAX_HASH_LEN],
    flight: Flight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Claimed,
    /// The ClientHello's random is known.
    Random,
    /// A transcript hash has seen that ClientHello.
    Bound,
    /// The main secret is known, and the transcript that it goes with.
    Captured,
    /// Two had the same random numbers, so that nobody can tell which is which.
    Ambiguous,
}

impl Slot {
    const FREE: Self = Self {
        generation: 0,
        state: State::Free,
        random: [0; 32],
        hash_len: 0,
        transcript: [0; MAX_HASH_LEN],
        main_secret: [0; MAX_HASH_LEN],
        flight: Flight::NEW,
    };

    fn free(&mut self) {
        wipe(&mut self.main_secret);
        self.state = State::Free;
    }

    fn transcript(&self) -> &[u8] {
        self.transcript.get(..self.hash_len).unwrap_or_default()
    }
}

/// Which slot, and which of its users; of no effect when that one has gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id {
    table: &'static dyn Table,
    index: usize,
    generation: u32,
}

impl core::fmt::Debug for dyn Table {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SlotTable")
    }
}

/// A claim to a slot, which is wiped and free when this is dropped.
#[derive(Debug)]
pub(crate) struct Claim(Id);

impl Claim {
    pub(crate) fn new(table: &'static dyn Table) -> Option<Self> {
        first(
            table,
            |slot| slot.state == State::Free,
            |slot| {
                slot.generation = slot.generation.wrapping_add(1);
                slot.state = State::Claimed;
                slot.flight = Flight::NEW;
            },
        )
        .map(Self)
    }

    pub(crate) fn id(&self) -> Id {
        self.0
    }

    /// Returns the state of the server's flight.
    pub(crate) fn flight(&self) -> Flight {
        let mut flight = Flight::NEW;
        self.0.with(|slot| flight = slot.flight);
        flight
    }

    /// Gives main secret and transcript hash to `then`, if they were captured.
    pub(crate) fn captured<T>(&self, then: impl FnOnce(&[u8], &[u8]) -> Option<T>) -> Option<T> {
        let mut secret = chanbind_core::crypto::SecretBytes::<MAX_HASH_LEN>::default();
        let mut transcript = [0; MAX_HASH_LEN];
        let mut len = 0;
        self.0.with(|slot| {
            if slot.state == State::Captured {
                *secret = slot.main_secret;
                transcript = slot.transcript;
                len = slot.hash_len;
            }
        });
        if len == 0 {
            return None;
        }
        then(secret.get(..len)?, transcript.get(..len)?)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.with(Slot::free);
    }
}

impl Id {
    fn with(&self, run: impl FnOnce(&mut Slot)) {
        let mut run = Some(run);
        self.table.with(&mut |slots| {
            if let Some(slot) = slots.get_mut(self.index)
                && slot.generation == self.generation
                && slot.state != State::Free
                && let Some(run) = run.take()
            {
                run(slot);
            }
        });
    }

    /// The random numbers of the ClientHello, which are the first that are asked for. If another handshake has just the same ones, as
    /// with a generator that is broken, neither gets an exporter.
    pub(crate) fn note_random(&self, random: &[u8; 32]) {
        self.table.with(&mut |slots| {
            let mine =
                |slot: &Slot| slot.generation == self.generation && slot.state == State::Claimed;
            if !slots.get(self.index).is_some_and(mine) {
                return;
            }
            let mut state = State::Random;
            for other in slots.iter_mut() {
                if matches!(other.state, State::Random | State::Ambiguous)
                    && other.random == *random
                {
                    other.state = State::Ambiguous;
                    state = State::Ambiguous;
                }
            }
            if let Some(slot) = slots.get_mut(self.index) {
                slot.random = *random;
                slot.state = state;
            }
        });
    }

    /// A message that became part of the transcript.
    pub(crate) fn note_message(&self, message: &[u8], hash_len: usize) {
        self.with(|slot| slot.flight.take(message, hash_len));
    }

    /// What the transcript hashed to.
    pub(crate) fn note_transcript(&self, hash: &[u8]) {
        self.with(|slot| {
            if slot.state == State::Bound
                && let Some(transcript) = slot.transcript.get_mut(..hash.len())
            {
                transcript.copy_from_slice(hash);
                slot.hash_len = hash.len();
            }
        });
    }
}

/// The slot whose ClientHello has these random numbers.
pub(crate) fn bind(table: &'static dyn Table, random: &[u8]) -> Option<Id> {
    first(
        table,
        |slot| slot.state == State::Random && slot.random == random,
        |slot| slot.state = State::Bound,
    )
}

/// Hands the main secret to the slot whose transcript this is.
pub(crate) fn capture(table: &'static dyn Table, transcript: &[u8], main_secret: &[u8]) {
    first(
        table,
        |slot| slot.state == State::Bound && slot.transcript() == transcript,
        |slot| {
            if let Some(to) = slot.main_secret.get_mut(..main_secret.len()) {
                to.copy_from_slice(main_secret);
                slot.state = State::Captured;
            }
        },
    );
}

/// Changes the first slot that is like that.
fn first(
    table: &'static dyn Table,
    is_it: impl Fn(&Slot) -> bool,
    change: impl Fn(&mut Slot),
) -> Option<Id> {
    let mut found = None;
    table.with(&mut |slots| {
        found = slots
            .iter_mut()
            .enumerate()
            .find(|(_, slot)| is_it(slot))
            .map(|(index, slot)| {
                change(slot);
                Id {
                    table,
                    index,
                    generation: slot.generation,
                }
            });
    });
    found
}
