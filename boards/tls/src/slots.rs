//! Slots in which handshakes are observed, one for each handshake in progress.
//!
//! embedded-tls creates the hashes of its key schedule itself, without a reference to the connection that they belong to. The
//! data fed to a hash identifies the connection: [`crate::transcript`] finds the slot by the random of the ClientHello and by the
//! hash of the transcript. Since both are values, not a notion of the handshake that currently runs, handshakes may be
//! interleaved arbitrarily, also across threads and cores.

use crate::transcript::Flight;
use chanbind_core::crypto::{MAX_HASH_LEN, SecretBytes, wipe};
use core::cell::RefCell;
use critical_section::Mutex;

/// A static table of slots, which limits the number of simultaneous handshakes. [`crate::handshake_slots!`] declares a table of
/// any size; [`DefaultSlots`] has four slots.
pub trait HandshakeSlots: 'static {
    /// Returns the table.
    fn table() -> &'static dyn Table;
}

/// Declares a type with a table of handshake slots of the given size, for use as the parameter of a cipher suite.
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
    /// Slots for four simultaneous handshakes.
    pub DefaultSlots,
    4
);

/// A table of `N` slots of about 150 bytes each.
#[derive(Debug)]
pub struct SlotTable<const N: usize>(Mutex<RefCell<[Slot; N]>>);

impl<const N: usize> SlotTable<N> {
    /// Creates a table of free slots.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "intended for statics")]
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

/// The state of one handshake.
#[derive(Debug)]
#[allow(unnameable_types, reason = "sealed")]
pub struct Slot {
    /// Distinguishes the current claim from earlier claims to the same slot.
    generation: u32,
    state: State,
    random: [u8; 32],
    hash_len: usize,
    /// The most recent hash of the transcript.
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
    /// A transcript hash has been fed that ClientHello.
    Bound,
    /// The main secret and the corresponding transcript hash are known.
    Captured,
    /// Another handshake has the same random, so that they cannot be told apart.
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

/// A reference to a claim. Its methods have no effect once the claim has been dropped.
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

/// An exclusive claim to a slot. On drop, the main secret is wiped and the slot becomes free.
#[derive(Debug)]
pub(crate) struct Claim(Id);

impl Claim {
    pub(crate) fn new(table: &'static dyn Table) -> Option<Self> {
        update_first(
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

    /// Calls `then` with the main secret and the transcript hash, if they were captured.
    pub(crate) fn with_captured<T>(
        &self,
        then: impl FnOnce(&[u8], &[u8]) -> Option<T>,
    ) -> Option<T> {
        let mut secret = SecretBytes::<MAX_HASH_LEN>::default();
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

    /// Records the random of the ClientHello, the first 32 random bytes that embedded-tls requests. If another handshake has the
    /// same random, which happens with a broken generator, neither gets an exporter.
    pub(crate) fn note_random(&self, random: &[u8; 32]) {
        self.table.with(&mut |slots| {
            let is_current =
                |slot: &Slot| slot.generation == self.generation && slot.state == State::Claimed;
            if !slots.get(self.index).is_some_and(is_current) {
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

    /// Records a message that has been added to the transcript.
    pub(crate) fn note_message(&self, message: &[u8], hash_len: usize) {
        self.with(|slot| slot.flight.observe(message, hash_len));
    }

    /// Records the hash of the transcript.
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

/// Finds the slot of the ClientHello with this random, and marks it as bound to a transcript hash.
pub(crate) fn bind(table: &'static dyn Table, random: &[u8]) -> Option<Id> {
    update_first(
        table,
        |slot| slot.state == State::Random && slot.random == random,
        |slot| slot.state = State::Bound,
    )
}

/// Stores the main secret in the slot with this transcript hash.
pub(crate) fn capture(table: &'static dyn Table, transcript: &[u8], main_secret: &[u8]) {
    update_first(
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

/// Applies `change` to the first slot for which `matches` returns true.
fn update_first(
    table: &'static dyn Table,
    matches: impl Fn(&Slot) -> bool,
    change: impl Fn(&mut Slot),
) -> Option<Id> {
    let mut found = None;
    table.with(&mut |slots| {
        found = slots
            .iter_mut()
            .enumerate()
            .find(|(_, slot)| matches(slot))
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
