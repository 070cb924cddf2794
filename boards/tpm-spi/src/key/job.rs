//! What keys, and the chip's generator, are used for: commands, and what becomes of their responses.

use crate::{
    command::{
        Command, Entities, Entity, GetRandom, Handle, Hmac, HmacStart, Name, SequenceComplete,
        SequenceUpdate, Sign, Signature,
    },
    contexts::{Contexts, Slot},
    frame::{Marshal, Shape},
};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// A piece of work of one command or several, in an encrypted session; as [`Marshal`] it is the command that comes next.
pub(super) trait Job<'m>: Marshal {
    /// The key is loaded, and this is it.
    fn set_key(&mut self, _: Entity) {}

    /// What the next command is authorized for.
    fn authority(&self) -> Authority {
        Authority::Key
    }

    /// Whether the chip has to hold more for it than the key.
    fn needs_room(&self) -> bool {
        false
    }

    /// Takes the response to the command; whether the job is done.
    fn take(
        &mut self,
        handle: Handle,
        answer: &mut Reader<'_>,
        contexts: &'m Contexts,
    ) -> Result<bool, Truncated>;

    /// The chip has lost everything.
    fn begin_again(&mut self) {}
}

/// What a command of a job is authorized for.
pub(super) enum Authority {
    /// The use of the key.
    Key,
    /// The same, to start a sequence.
    KeyForSequence,
    /// The use of the sequence.
    Sequence,
    /// Nothing needs it.
    Nothing,
}

/// An HMAC over any amount of data: in one command, or in a sequence of them.
pub(super) struct HmacJob<'d, 'm> {
    /// What the next command is used on: the key, or the sequence.
    entity: Entity,
    data: &'d [&'d [u8]],
    out: &'d mut [u8; 32],
    /// The most that one command takes.
    room: usize,
    sequence: Option<Slot<'m>>,
    /// How much of the data the sequence has.
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

    /// What the sequence has not got yet, as much of one part as fits.
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
                    // The session puts a password in its place, without which the sequence could be used by whoever sits on
                    // the bus: it has no name that the session could vouch for.
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

    fn take(
        &mut self,
        handle: Handle,
        answer: &mut Reader<'_>,
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
                *self.out = answer.sized16()?.try_into().map_err(|_| Truncated)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn begin_again(&mut self) {
        self.sequence = None;
        self.taken = 0;
    }
}

/// A signature.
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

    fn take(
        &mut self,
        handle: Handle,
        answer: &mut Reader<'_>,
        _: &'m Contexts,
    ) -> Result<bool, Truncated> {
        *self.out = self.command().response(handle, answer)?;
        Ok(true)
    }
}

/// Random numbers.
pub(crate) struct RandomJob<'d> {
    out: &'d mut [u8],
}

impl<'d> RandomJob<'d> {
    pub(crate) fn new(out: &'d mut [u8]) -> Self {
        Self { out }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.out.is_empty()
    }

    pub(crate) fn command(&self) -> GetRandom {
        GetRandom {
            bytes_requested: u16::try_from(self.out.len().min(RANDOM_AT_ONCE)).unwrap_or(1),
        }
    }

    /// Takes some bytes; none of them, or too many, are an error.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), Truncated> {
        let out = core::mem::take(&mut self.out);
        let (now, later) = out
            .split_at_mut_checked(bytes.len())
            .filter(|(now, _)| !now.is_empty())
            .ok_or(Truncated)?;
        now.copy_from_slice(bytes);
        self.out = later;
        Ok(())
    }
}

impl Marshal for RandomJob<'_> {
    fn shape(&self) -> &'static Shape {
        Shape::of::<GetRandom>()
    }

    fn entities(&self) -> Entities<'_> {
        [None, None, None]
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        Command::parameters(&self.command(), out)
    }

    fn flushes(&self) -> Option<Handle> {
        None
    }
}

impl<'m> Job<'m> for RandomJob<'_> {
    fn authority(&self) -> Authority {
        Authority::Nothing
    }

    fn take(
        &mut self,
        handle: Handle,
        answer: &mut Reader<'_>,
        _: &'m Contexts,
    ) -> Result<bool, Truncated> {
        let bytes = self.command().response(handle, answer)?;
        self.put(bytes)?;
        Ok(self.is_done())
    }
}

/// Chips give 32 to 64 bytes at a time.
const RANDOM_AT_ONCE: usize = 32;
