use crate::command::Handle;
use core::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};

/// The list of sessions and loaded objects that a [`crate::Tpm`] holds in the chip, at most [`Contexts::CAPACITY`].
///
/// The caller owns the list, so that keys and sessions can be dropped anywhere. Dropped ones are flushed before the next command.
pub struct Contexts {
    /// The handle in each place; 0 marks a free place.
    places: [AtomicU32; Self::CAPACITY],
    /// Number of resets of the chip. Contexts of an earlier epoch no longer exist in the chip.
    epoch: AtomicU32,
}

/// Flag in the handle of a context that was dropped and is not flushed yet. Handles of transient objects and sessions have it
/// clear.
const DROPPED: u32 = 0x4000_0000;

impl Contexts {
    /// Maximum number of contexts in the list. Chips have room for 3 to 7 objects, and as many sessions.
    pub const CAPACITY: usize = 8;

    /// Creates an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            places: [const { AtomicU32::new(0) }; Self::CAPACITY],
            epoch: AtomicU32::new(0),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.find(0).is_some()
    }

    /// Adds a context that the chip has created.
    pub(crate) fn add(&self, handle: Handle) {
        if let Some(place) = self.find(0) {
            place.store(handle.0, Ordering::Relaxed);
        }
    }

    /// Returns a slot for a context in the list. Dropping the slot marks the context to be flushed.
    pub(crate) fn adopt(&self, handle: Handle) -> Slot<'_> {
        Slot {
            contexts: self,
            handle,
            epoch: self.epoch.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn remove(&self, handle: Handle) {
        for wanted in [handle.0, handle.0 | DROPPED] {
            if let Some(place) = self.find(wanted) {
                place.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Returns true if the context is in the list, also if it is marked to be flushed.
    pub(crate) fn contains(&self, handle: Handle) -> bool {
        self.find(handle.0).is_some() || self.find(handle.0 | DROPPED).is_some()
    }

    /// Returns the handle of a context that was dropped and is not flushed yet.
    pub(crate) fn next_dropped(&self) -> Option<Handle> {
        self.places
            .iter()
            .map(|place| place.load(Ordering::Relaxed))
            .find(|handle| handle & DROPPED != 0)
            .map(|handle| Handle(handle & !DROPPED))
    }

    /// Clears the list after a reset of the chip, which has removed all contexts.
    pub(crate) fn remove_all(&self) {
        let epoch = self.epoch.load(Ordering::Relaxed);
        self.epoch.store(epoch.wrapping_add(1), Ordering::Relaxed);
        for place in &self.places {
            place.store(0, Ordering::Relaxed);
        }
    }

    fn find(&self, value: u32) -> Option<&AtomicU32> {
        self.places
            .iter()
            .find(|place| place.load(Ordering::Relaxed) == value)
    }
}

impl Default for Contexts {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Contexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(
                self.places
                    .iter()
                    .filter_map(|place| match place.load(Ordering::Relaxed) {
                        0 => None,
                        handle => Some(Handle(handle)),
                    }),
            )
            .finish()
    }
}

/// A session or object in the chip. Dropping the slot marks it to be flushed.
pub(crate) struct Slot<'m> {
    contexts: &'m Contexts,
    handle: Handle,
    epoch: u32,
}

impl Slot<'_> {
    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }

    /// Returns true if no reset of the chip is known to have removed the context.
    pub(crate) fn is_live(&self) -> bool {
        self.epoch == self.contexts.epoch.load(Ordering::Relaxed)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        // After a reset, the chip may have given the same handle to another context.
        if self.is_live()
            && let Some(place) = self.contexts.find(self.handle.0)
        {
            place.store(self.handle.0 | DROPPED, Ordering::Relaxed);
        }
    }
}
