use crate::command::Handle;
use core::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};

/// What a [`crate::Tpm`] has in the chip: sessions and loaded objects, at most [`Contexts::CAPACITY`]. The caller's memory, so
/// that keys and sessions can be dropped anywhere; what was dropped is flushed before the next command.
pub struct Contexts {
    /// The handle in each place; 0 for none.
    places: [AtomicU32; Self::CAPACITY],
    /// Counts resets of the chip: what is older is gone.
    epoch: AtomicU32,
}

/// Set in the handle of what was dropped and not yet flushed; transient objects and sessions have it clear.
const DROPPED: u32 = 0x4000_0000;

impl Contexts {
    /// Chips have room for 3 to 7 objects, and as many sessions.
    pub const CAPACITY: usize = 8;

    /// Nothing in the chip.
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

    /// Remembers what the chip has made.
    pub(crate) fn add(&self, handle: Handle) {
        if let Some(place) = self.find(0) {
            place.store(handle.0, Ordering::Relaxed);
        }
    }

    /// What is remembered, from now on flushed when the slot is dropped.
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

    /// Whether it is on the list, perhaps to be flushed.
    pub(crate) fn knows(&self, handle: Handle) -> bool {
        self.find(handle.0).is_some() || self.find(handle.0 | DROPPED).is_some()
    }

    /// Something that was dropped and not yet flushed.
    pub(crate) fn dropped(&self) -> Option<Handle> {
        self.places
            .iter()
            .map(|place| place.load(Ordering::Relaxed))
            .find(|handle| handle & DROPPED != 0)
            .map(|handle| Handle(handle & !DROPPED))
    }

    /// The chip was reset: nothing is in it any more.
    pub(crate) fn forget_all(&self) {
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

/// One session or object in the chip; dropped, it is marked to be flushed.
pub(crate) struct Slot<'m> {
    contexts: &'m Contexts,
    handle: Handle,
    epoch: u32,
}

impl Slot<'_> {
    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }

    /// Whether the chip still has it, as far as is known.
    pub(crate) fn is_live(&self) -> bool {
        self.epoch == self.contexts.epoch.load(Ordering::Relaxed)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        // After a reset, the same handle may be somebody else's.
        if self.is_live()
            && let Some(place) = self.contexts.find(self.handle.0)
        {
            place.store(self.handle.0 | DROPPED, Ordering::Relaxed);
        }
    }
}
