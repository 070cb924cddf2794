use super::{
    ChannelError, ChannelMemory, PeerDischarges, Presented,
    message::{BLESSINGS_FLOW, DataFlags, Message, release},
    present::{write_discharges, write_presented, write_sealed, write_stream},
    seal::Seal,
};
use crate::{
    binding::Side,
    blessing::{Algorithms, AuthMessage, VerifiedBlessings, vom},
    wire::Reader,
};
use core::{borrow::BorrowMut, fmt};

/// The maximum number of flows that are open at the same time.
pub const MAX_FLOWS: usize = 16;

/// The first identifier of a flow that is not reserved.
const FIRST_FLOW: u64 = 10;

/// The number of bytes that the peer may send on a flow before it is told to go on.
const GRANTED: u64 = 1 << 20;

/// A connection after the handshake. It keeps at most `LEN` bytes of the peer's blessings.
pub struct Connection<M, const LEN: usize> {
    side: Side,
    seal: Seal,
    memory: M,
    /// The numbers of the blessings and discharges that are the peer's own.
    peer_keys: (u64, u64),
    /// The number of the blessings of the handshake, to whose key all others belong.
    first_key: u64,
    next_key: u64,
    next_flow: u64,
    mtu: u64,
    shared_tokens: u64,
    flows: heapless::Vec<Flow, MAX_FLOWS>,
}

struct Flow {
    id: u64,
    /// The number of bytes that may be sent.
    may_send: u64,
    /// The number of bytes that the peer may send.
    may_receive: u64,
}

/// A message of the peer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'f> {
    /// The peer opens a flow. Its blessings for it are those with these numbers ([`Connection::verified`]).
    Opened {
        /// The flow.
        flow: u64,
        /// The number of the blessings.
        blessings_key: u64,
        /// The number of the discharges; 0 without discharges.
        discharge_key: u64,
        /// The first data.
        payload: &'f [u8],
        /// True if the peer sends nothing more on it.
        closes: bool,
    },
    /// Data on an open flow.
    Data {
        /// The flow.
        flow: u64,
        /// The data.
        payload: &'f [u8],
        /// True if the peer sends nothing more on it.
        closes: bool,
    },
    /// The peer has sent blessings or discharges for later use, or says which are its own now.
    Presented,
    /// More may be sent on flows ([`Connection::may_send`]).
    Released,
    /// The peer asks whether this end is alive: answer by [`Connection::answer_health_check`].
    HealthCheck,
    /// The peer wants no new flows: answer by [`Connection::acknowledge_lame_duck`].
    LameDuck,
    /// The peer ends the connection.
    TearDown {
        /// The reason, for an operator. It is not to be believed: it may come from another.
        text: &'f str,
    },
    /// A message that needs no answer.
    Ignored,
}

impl<M: BorrowMut<ChannelMemory<LEN>>, const LEN: usize> Connection<M, LEN> {
    pub(super) fn new(
        side: Side,
        seal: Seal,
        memory: M,
        peer_keys: (u64, u64),
        next_key: u64,
        (mtu, shared_tokens): (u64, u64),
    ) -> Self {
        Self {
            side,
            seal,
            memory,
            peer_keys,
            first_key: peer_keys.0,
            next_key,
            // The dialer has the even identifiers.
            next_flow: FIRST_FLOW.saturating_add(u64::from(side == Side::Server)),
            mtu,
            shared_tokens,
            flows: heapless::Vec::new(),
        }
    }

    /// Returns the maximum length of the data of one message.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        usize::try_from(self.mtu).unwrap_or(usize::MAX)
    }

    /// Returns the numbers of the blessings and the discharges that are the peer's own.
    #[must_use]
    pub fn peer_keys(&self) -> (u64, u64) {
        self.peer_keys
    }

    /// Returns the peer's blessings with this number, and verifies their signatures.
    ///
    /// # Errors
    /// [`ChannelError::Key`] if the peer has not sent them, [`ChannelError::Blessings`] if they are invalid, and [`ChannelError::OtherKey`] if they are
    /// for another key than those of the handshake.
    pub fn verified(
        &self,
        blessings_key: u64,
        algorithms: &Algorithms,
    ) -> Result<VerifiedBlessings<'_>, ChannelError> {
        self.check_keys(blessings_key, 0)?;
        Ok(self
            .memory
            .borrow()
            .peer
            .blessings(blessings_key)?
            .verify(algorithms)?)
    }

    /// Checks that the peer has sent the blessings and discharges with these numbers, and that the blessings are for the key of the handshake.
    fn check_keys(&self, blessings_key: u64, discharge_key: u64) -> Result<(), ChannelError> {
        self.memory.borrow().peer.discharges(discharge_key)?;
        let first = self.memory.borrow().peer.blessings(self.first_key)?;
        let named = self.memory.borrow().peer.blessings(blessings_key)?;
        let is_same = first.with_leaf(|first| named.with_leaf(|own| Ok(first == own)))?;
        if is_same {
            Ok(())
        } else {
            Err(ChannelError::OtherKey)
        }
    }

    /// Returns the peer's discharges with this number; none for number 0.
    ///
    /// # Errors
    /// [`ChannelError::Key`] if the peer has not sent them.
    pub fn discharges(&self, discharge_key: u64) -> Result<PeerDischarges<'_>, ChannelError> {
        self.memory.borrow().peer.discharges(discharge_key)
    }

    /// Takes the body of a frame, and opens it in place.
    ///
    /// # Errors
    /// [`ChannelError`]: the connection must be closed.
    pub fn receive<'f>(&mut self, body: &'f mut [u8]) -> Result<Event<'f>, ChannelError> {
        let message = self.seal.open(body)?;
        let kind = message.first().copied().unwrap_or(0);
        match Message::parse(message)? {
            Message::Data {
                flow: BLESSINGS_FLOW,
                payload,
                ..
            } => {
                self.memory.borrow_mut().peer.feed(payload)?;
                Ok(Event::Presented)
            }
            Message::Data {
                flow,
                flags,
                payload,
            } => self.data(flow, payload, flags),
            Message::OpenFlow {
                id,
                initial_counters,
                blessings_key,
                discharge_key,
                flags,
                payload,
            } => {
                self.check_keys(blessings_key, discharge_key)?;
                self.opened(id, initial_counters, payload.len(), flags.closes)?;
                Ok(Event::Opened {
                    flow: id,
                    blessings_key,
                    discharge_key,
                    payload,
                    closes: flags.closes,
                })
            }
            Message::Release { pairs } => self.released(pairs),
            Message::Auth(message) => {
                let auth = AuthMessage::parse(message)?;
                // It has no signature, because the blessings are for the key that is proved.
                if !auth.signature.is_absent() {
                    return Err(ChannelError::Malformed);
                }
                self.check_keys(auth.blessings_key, auth.discharge_key)?;
                self.peer_keys = (auth.blessings_key, auth.discharge_key);
                Ok(Event::Presented)
            }
            Message::TearDown { text } => Ok(Event::TearDown {
                text: str::from_utf8(text).unwrap_or_default(),
            }),
            Message::EnterLameDuck => Ok(Event::LameDuck),
            Message::HealthCheckRequest => Ok(Event::HealthCheck),
            Message::AckLameDuck | Message::HealthCheckResponse => Ok(Event::Ignored),
            Message::Other(_) => Err(ChannelError::Unexpected { kind }),
        }
    }

    fn data<'f>(
        &mut self,
        id: u64,
        payload: &'f [u8],
        flags: DataFlags,
    ) -> Result<Event<'f>, ChannelError> {
        let mut flows = self.flows.iter_mut();
        // The flow may have been closed while the data was on its way.
        let Some(flow) = flows.find(|flow| flow.id == id) else {
            return Ok(Event::Ignored);
        };
        flow.may_receive = flow
            .may_receive
            .checked_sub(len(payload))
            .ok_or(ChannelError::Tokens)?;
        if flags.closes {
            self.flows.retain(|flow| flow.id != id);
        }
        Ok(Event::Data {
            flow: id,
            payload,
            closes: flags.closes,
        })
    }

    fn opened(
        &mut self,
        id: u64,
        counters: u64,
        payload_len: usize,
        closes: bool,
    ) -> Result<(), ChannelError> {
        let is_of_acceptor = id & 1 == 1;
        let is_known = self.flows.iter().any(|flow| flow.id == id);
        if id < FIRST_FLOW || is_of_acceptor == (self.side == Side::Server) || is_known {
            return Err(ChannelError::Flow { id });
        }
        let granted = GRANTED.min(self.shared_tokens);
        let flow = Flow {
            id,
            may_send: counters,
            may_receive: granted
                .checked_sub(u64::try_from(payload_len).unwrap_or(u64::MAX))
                .ok_or(ChannelError::Tokens)?,
        };
        if closes {
            return Ok(());
        }
        let pushed = self.flows.push(flow);
        pushed.map_err(|_| ChannelError::Flow { id })
    }

    fn released<'f>(&mut self, pairs: Reader<'f>) -> Result<Event<'f>, ChannelError> {
        let mut pairs = pairs;
        while let Some((id, tokens)) = release(&mut pairs)? {
            let mut flows = self.flows.iter_mut();
            if let Some(flow) = flows.find(|flow| flow.id == id) {
                flow.may_send = flow.may_send.saturating_add(tokens);
            }
        }
        Ok(Event::Released)
    }

    /// Returns the number of bytes that may be sent on a flow now; 0 if it is not open.
    #[must_use]
    pub fn may_send(&self, flow: u64) -> u64 {
        let mut flows = self.flows.iter();
        flows
            .find(|open| open.id == flow)
            .map_or(0, |open| open.may_send)
    }

    /// Writes frames with blessings of the same key as those of the handshake. Returns their number, that of the discharges, and the length of the frames.
    /// `out` needs twice the length of what is sent.
    ///
    /// # Errors
    /// [`ChannelError::BufferTooSmall`], [`ChannelError::Blessings`]
    pub fn present(
        &mut self,
        presented: &Presented<'_>,
        out: &mut [u8],
    ) -> Result<(u64, u64, usize), ChannelError> {
        let (written, len) = write_presented(
            &mut self.seal,
            presented,
            false,
            &mut self.next_key,
            self.mtu,
            out,
        )?;
        Ok((written.blessings, written.discharges, len))
    }

    /// Writes frames with other discharges for blessings that were sent before. Returns their number and the length of the frames. `out` needs twice the
    /// length of what is sent.
    ///
    /// # Errors
    /// [`ChannelError::BufferTooSmall`], [`ChannelError::Blessings`]
    pub fn present_discharges(
        &mut self,
        blessings_key: u64,
        discharges: &[&[u8]],
        out: &mut [u8],
    ) -> Result<(u64, usize), ChannelError> {
        let key = self.next_key;
        let len = write_stream(&mut self.seal, self.mtu, out, &mut |writer| {
            write_discharges(writer, discharges, key, blessings_key)
        })?;
        self.next_key = key.saturating_add(1);
        Ok((key, len))
    }

    /// Opens a flow with these of this end's blessings and discharges. Returns its identifier and the length of the frame.
    ///
    /// # Errors
    /// [`ChannelError::Tokens`] if the payload is longer than a message may be, [`ChannelError::Flow`] if too many flows are open, and
    /// [`ChannelError::BufferTooSmall`].
    pub fn open(
        &mut self,
        (blessings_key, discharge_key): (u64, u64),
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<(u64, usize), ChannelError> {
        let id = self.next_flow;
        let may_send = self.shared_tokens.checked_sub(len(payload));
        let (true, Some(may_send)) = (payload.len() <= self.max_payload(), may_send) else {
            return Err(ChannelError::Tokens);
        };
        let granted = GRANTED.min(self.shared_tokens);
        let flow = Flow {
            id,
            may_send,
            may_receive: granted,
        };
        self.flows
            .push(flow)
            .map_err(|_| ChannelError::Flow { id })?;
        self.next_flow = id.saturating_add(2);
        let message = Message::OpenFlow {
            id,
            initial_counters: granted,
            blessings_key,
            discharge_key,
            flags: DataFlags::default(),
            payload,
        };
        Ok((id, self.write(&message, out)?))
    }

    /// Sends data on an open flow, and returns the length of the frame. With `closes` it is the last on the flow, in both directions.
    ///
    /// # Errors
    /// [`ChannelError::Tokens`] if it is more than may be sent now, or than a message may have, and [`ChannelError::BufferTooSmall`].
    pub fn send(
        &mut self,
        flow: u64,
        payload: &[u8],
        closes: bool,
        out: &mut [u8],
    ) -> Result<usize, ChannelError> {
        let rest = self.may_send(flow).checked_sub(len(payload));
        let (true, Some(rest)) = (payload.len() <= self.max_payload(), rest) else {
            return Err(ChannelError::Tokens);
        };
        for open in &mut self.flows {
            if open.id == flow {
                open.may_send = rest;
            }
        }
        // As at upstream, closing a flow ends both directions.
        if closes {
            self.flows.retain(|open| open.id != flow);
        }
        let flags = DataFlags { closes };
        let message = Message::Data {
            flow,
            flags,
            payload,
        };
        self.write(&message, out)
    }

    /// Tells the peer that it may send more on a flow, if it has used half of what it might send. Returns the length of the frame, which may be 0.
    ///
    /// # Errors
    /// [`ChannelError::BufferTooSmall`]
    pub fn release(&mut self, flow: u64, out: &mut [u8]) -> Result<usize, ChannelError> {
        let granted = GRANTED.min(self.shared_tokens);
        let mut flows = self.flows.iter_mut();
        let Some(open) = flows.find(|open| open.id == flow) else {
            return Ok(0);
        };
        if open.may_receive > granted / 2 {
            return Ok(0);
        }
        let more = granted.saturating_sub(open.may_receive);
        open.may_receive = granted;
        let mut pairs = [0; 18];
        let mut writer = vom::Writer::new(&mut pairs);
        writer.unsigned(flow)?;
        writer.unsigned(more)?;
        let pairs = Reader::new(writer.finish());
        self.write(&Message::Release { pairs }, out)
    }

    /// Answers [`Event::HealthCheck`]. Returns the length of the frame.
    ///
    /// # Errors
    /// [`ChannelError::BufferTooSmall`]
    pub fn answer_health_check(&mut self, out: &mut [u8]) -> Result<usize, ChannelError> {
        self.write(&Message::HealthCheckResponse, out)
    }

    /// Answers [`Event::LameDuck`]. Returns the length of the frame.
    ///
    /// # Errors
    /// [`ChannelError::BufferTooSmall`]
    pub fn acknowledge_lame_duck(&mut self, out: &mut [u8]) -> Result<usize, ChannelError> {
        self.write(&Message::AckLameDuck, out)
    }

    /// Ends the connection, with a reason for the peer's operator. Returns the length of the frame.
    ///
    /// # Errors
    /// [`ChannelError::BufferTooSmall`]
    pub fn tear_down(&mut self, text: &str, out: &mut [u8]) -> Result<usize, ChannelError> {
        let text = text.as_bytes();
        self.write(&Message::TearDown { text }, out)
    }

    fn write(&mut self, message: &Message<'_>, out: &mut [u8]) -> Result<usize, ChannelError> {
        let mut len = 0;
        write_sealed(&mut self.seal, message, out, &mut len)?;
        Ok(len)
    }
}

fn len(payload: &[u8]) -> u64 {
    u64::try_from(payload.len()).unwrap_or(u64::MAX)
}

impl<M, const LEN: usize> fmt::Debug for Connection<M, LEN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({:?}, {} flows)", self.side, self.flows.len())
    }
}
