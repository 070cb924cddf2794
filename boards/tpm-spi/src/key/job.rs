//! The operations of [`super::TpmKeys`] in the chip: their commands, and the processing of the responses.

use crate::{
    command::{
        Command, Entities, Entity, Handle, Hmac, HmacStart, Name, SequenceComplete, SequenceUpdate,
        Sign,
    },
    contexts::{Contexts, Slot},
    frame::{Marshal, Shape},
    random::RandomJob,
};
use chanbind_core::{
    crypto::ecdsa::Signature,
    wire::{Full, Reader, Truncated, Writer},
};

/// An operation of one or more commands in an encrypted session. Its [`Marshal`] implementation is the next command.
pub(super) trait Job<'m>: Marshal {
    /// Sets the key, which is loaded.
    fn set_key(&mut self, _: Entity) {}

    /// Returns the authorization that the next command needs.
    fn authority(&self) -> Authority {
        Authority::Key
    }

    /// Returns true if the chip must hold another object beside the key.
    fn needs_room(&self) -> bool {
        false
    }

    /// Processes the response to the command. Returns true if the job is done.
    fn process(
        &mut self,
        handle: Handle,
        response: &mut Reader<'_>,
        contexts: &'m Contexts,
    ) -> Result<bool, Truncated>;

    /// Restarts the job after a reset of the chip.
    fn restart(&mut self) {}
}

/// The authorization that a command of a job needs.
pub(super) enum Authority {
    /// To use the key.
    Key,
    /// To use the key to start a sequence.
    KeyForSequence,
    /// To use the sequence.
    Sequence,
    /// No authorization.
    Nothing,
}

/// An HMAC over data of any length, computed by one command or by a sequence of commands.
pub(super) struct HmacJob<'d, 'm> {
    /// The entity that the next command uses: the key, or the sequence.
    entity: Entity,
    data: &'d [&'d [u8]],
    out: &'d mut [u8; 32],
    /// Maximum number of data bytes in one command.
    room: usize,
    sequence: Option<Slot<'m>>,
    /// Number of data bytes that the sequence has received.
    taken: usize,
}

enum HmacStep {
    Once,
    Start,
    Update,
    Complete,
}

impl<'d> HmacJob<'d, '_> {
    pub(super) fn new(data: &'d [&'d [u8]], out: &'d mut [u8; 32], room: usize) -> Self {
        Self {
            entity: Entity::NULL,
            data,
            out,
            room,
            sequence: None,
            taken: 0,
        }
    }

    fn len(&self) -> usize {
        self.data
            .iter()
            .fold(0usize, |sum, part| sum.saturating_add(part.len()))
    }

    fn step(&self) -> HmacStep {
        let len = self.len();
        match &self.sequence {
            None if len <= self.room => HmacStep::Once,
            None => HmacStep::Start,
            Some(_) if self.taken < len => HmacStep::Update,
            Some(_) => HmacStep::Complete,
        }
    }

    /// Returns the next data for the sequence: the rest of one part, as far as it fits one command.
    fn chunk(&self) -> &'d [u8] {
        let mut skip = self.taken;
        for part in self.data {
            match part.get(skip..) {
                Some([]) | None => skip = skip.saturating_sub(part.len()),
                Some(rest) => return rest.get(..self.room).unwrap_or(rest),
            }
        }
        &[]
    }
}

impl Marshal for HmacJob<'_, '_> {
    fn shape(&self) -> &'static Shape {
        match self.step() {
            HmacStep::Once => Shape::of::<Hmac<'_>>(),
            HmacStep::Start => Shape::of::<HmacStart<'_>>(),
            HmacStep::Update => Shape::of::<SequenceUpdate<'_>>(),
            HmacStep::Complete => Shape::of::<SequenceComplete<'_>>(),
        }
    }

    fn entities(&self) -> Entities<'_> {
        [Some(&self.entity), None, None]
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        let (entity, data) = (&self.entity, self.chunk());
        match self.step() {
            HmacStep::Once => Command::parameters(
                &Hmac {
                    key: entity,
                    data: self.data,
                },
                out,
            ),
            HmacStep::Start => Command::parameters(
                &HmacStart {
                    key: entity,
                    // The session replaces it with a secret password. Without one, an attacker on the bus could use the sequence:
                    // a sequence has no name that the session's HMAC could cover.
                    auth: &[0; 32],
                },
                out,
            ),
            HmacStep::Update => Command::parameters(
                &SequenceUpdate {
                    sequence: entity,
                    data,
                },
                out,
            ),
            HmacStep::Complete => Command::parameters(
                &SequenceComplete {
                    sequence: entity,
                    data,
                },
                out,
            ),
        }
    }

    fn flushes(&self) -> Option<Handle> {
        matches!(self.step(), HmacStep::Complete).then(|| self.entity.handle())
    }
}

impl<'m> Job<'m> for HmacJob<'_, 'm> {
    fn set_key(&mut self, key: Entity) {
        if self.sequence.is_none() {
            self.entity = key;
        }
    }

    fn authority(&self) -> Authority {
        match self.step() {
            HmacStep::Once => Authority::Key,
            HmacStep::Start => Authority::KeyForSequence,
            HmacStep::Update | HmacStep::Complete => Authority::Sequence,
        }
    }

    fn needs_room(&self) -> bool {
        !matches!(self.step(), HmacStep::Once)
    }

    fn process(
        &mut self,
        handle: Handle,
        response: &mut Reader<'_>,
        contexts: &'m Contexts,
    ) -> Result<bool, Truncated> {
        match self.step() {
            HmacStep::Start => {
                // The name of a sequence is empty.
                self.entity = Entity::object(handle, Name::EMPTY);
                self.sequence = Some(contexts.adopt(handle));
            }
            HmacStep::Update => self.taken = self.taken.saturating_add(self.chunk().len()),
            HmacStep::Once | HmacStep::Complete => {
                *self.out = response.sized16()?.try_into().map_err(|_| Truncated)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn restart(&mut self) {
        self.sequence = None;
        self.taken = 0;
    }
}

/// A signature of a SHA-256 digest, computed by one command.
pub(super) struct SignJob<'d> {
    key: Entity,
    digest: &'d [u8; 32],
    out: &'d mut Signature,
}

impl<'d> SignJob<'d> {
    pub(super) fn new(digest: &'d [u8; 32], out: &'d mut Signature) -> Self {
        Self {
            key: Entity::NULL,
            digest,
            out,
        }
    }

    fn command(&self) -> Sign<'_> {
        Sign {
            key: &self.key,
            digest: self.digest,
        }
    }
}

impl Marshal for SignJob<'_> {
    fn shape(&self) -> &'static Shape {
        Shape::of::<Sign<'_>>()
    }

    fn entities(&self) -> Entities<'_> {
        [Some(&self.key), None, None]
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        Command::parameters(&self.command(), out)
    }

    fn flushes(&self) -> Option<Handle> {
        None
    }
}

impl<'m> Job<'m> for SignJob<'_> {
    fn set_key(&mut self, key: Entity) {
        self.key = key;
    }

    fn process(
        &mut self,
        handle: Handle,
        response: &mut Reader<'_>,
        _: &'m Contexts,
    ) -> Result<bool, Truncated> {
        *self.out = self.command().response(handle, response)?;
        Ok(true)
    }
}

impl<'m> Job<'m> for RandomJob<'_> {
    fn authority(&self) -> Authority {
        Authority::Nothing
    }

    fn process(
        &mut self,
        handle: Handle,
        response: &mut Reader<'_>,
        _: &'m Contexts,
    ) -> Result<bool, Truncated> {
        let bytes = self.command().response(handle, response)?;
        self.put(bytes)?;
        Ok(self.is_done())
    }
}
