//! Publishes readings to an MQTT 5 broker, and obeys the commands that it subscribes to.
//!
//! The proof is a one-time password of the connection: CONNECT has the client id as its user name, and the password that the TPM made as
//! its password. The broker verifies both against the TLS connection that CONNECT came by, so that a password that was read elsewhere is
//! of no use. Readings go to `readings/CLIENT`, commands come from `commands/CLIENT`.
//!
//! MQTT is not HTTP, so this application does not implement [`Application`](chanbind_device::Application): it connects by itself, and
//! takes the TLS stream of the session.
#![allow(
    unsafe_code,
    reason = "the buffer of packets is reset: rust-mqtt has no other one without an allocator"
)]

use crate::{
    Sensor,
    messages::{MAX_READING_LEN, Reading, interval_of},
};
use chanbind_device::{
    Backoff, Device, Failure, Platform, Session, TransportError,
    config::Config,
    protocol::{otp::MAX_CLIENT_ID_LEN, proof::RequestTarget},
};
use core::convert::Infallible;
use embassy_time::{Duration, Instant, TimeoutError, Timer, with_timeout};
use embedded_io_async::{Read, Write};
use heapless::String;
use rust_mqtt::{
    buffer::BumpBuffer,
    client::{
        Client, MqttError,
        event::Event,
        options::{ConnectOptions, PublicationOptions, SubscriptionOptions, TopicReference},
    },
    types::{MqttBinary, MqttString, ReasonCode, TopicFilter, TopicName},
};

/// The longest content of packets that are received between two resets of their memory, in bytes: a command with its topic, and what the
/// broker tells of itself.
const PACKETS_LEN: usize = 512;
/// The room for the client id and the password.
const PROOF_LEN: usize = 512;

/// The longest topic.
const MAX_TOPIC_LEN: usize = "readings/".len() + MAX_CLIENT_ID_LEN;

/// A client with room for one publication and one subscription at a time.
type MqttClient<'c, N> = Client<'c, 'c, N, BumpBuffer<'c>, 1, 1, 1, 0, 1, 0, 0>;

/// The reason for the end of a connection.
enum End<E> {
    /// The device could not connect, or make a proof.
    Device(Failure<E>),
    /// The configured proof is no one-time password.
    NoPassword,
    /// The connection to the broker ended.
    Broker(BrokerError),
}

/// An error of the connection to the broker.
enum BrokerError {
    /// The broker refused what was sent, or closed the connection, with this reason.
    Refused(ReasonCode),
    /// The connection broke, or the broker does not keep to the protocol.
    Broken,
    /// The broker did not answer in time.
    TimedOut,
    /// The client id has characters that a topic must not have.
    Topic,
}

impl<E> From<BrokerError> for End<E> {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

impl<const N: usize> From<MqttError<'_, N>> for BrokerError {
    fn from(error: MqttError<'_, N>) -> Self {
        match error {
            MqttError::Disconnect { reason, .. } => Self::Refused(reason),
            _ => Self::Broken,
        }
    }
}

impl From<TimeoutError> for BrokerError {
    fn from(_: TimeoutError) -> Self {
        Self::TimedOut
    }
}

/// An application that publishes the readings of a sensor.
pub struct MqttReadings<S> {
    sensor: S,
    interval: Duration,
    /// The time at which the next reading is taken.
    due: Instant,
    number: u32,
    json: [u8; MAX_READING_LEN],
    /// The length of the reading in `json`; 0 if it has been acknowledged.
    pending_len: usize,
}

impl<S: Sensor> MqttReadings<S> {
    /// Creates an application that publishes with the configured interval, until a command sets another one.
    pub fn new(config: &Config<'_>, sensor: S) -> Self {
        Self {
            sensor,
            interval: Duration::from_millis(u64::from(config.interval_ms)),
            due: Instant::now(),
            number: 0,
            json: [0; MAX_READING_LEN],
            pending_len: 0,
        }
    }

    /// Runs the application for ever. After a failure it connects anew, and waits before: twice as long after each further failure.
    pub async fn run<'a, P: Platform + 'a>(&mut self, device: &mut Device<'a, P>) -> Infallible {
        let config = device.config();
        let limit = Duration::from_millis(u64::from(config.step_timeout_ms));
        let mut backoff = Backoff::new(config.first_retry_ms, config.longest_retry_ms);
        loop {
            let end = {
                let mut slot = None;
                match device.connect(&mut slot).await {
                    Ok(mut session) => self.serve(&mut session, limit, &mut backoff).await,
                    Err(failure) => End::Device(failure),
                }
            };
            match end {
                // Logs it, and brings back a TPM that has failed.
                End::Device(failure) => device.recover(failure).await,
                End::NoPassword => {
                    defmt::error!(
                        "event=failed reason=config: MQTT needs a device with [proof.otp]"
                    );
                }
                End::Broker(BrokerError::Refused(reason)) => {
                    defmt::error!("event=refused mqtt-reason={=u8:#04x}", reason.value());
                }
                End::Broker(BrokerError::Broken) => {
                    defmt::error!("event=failed reason=mqtt: the connection to the broker broke");
                }
                End::Broker(BrokerError::TimedOut) => {
                    defmt::error!(
                        "event=failed reason=mqtt-timeout: the broker did not answer in time"
                    );
                }
                End::Broker(BrokerError::Topic) => {
                    defmt::error!(
                        "event=failed reason=config: the client id cannot be part of a topic"
                    );
                }
            }
            let millis = backoff.next(0);
            defmt::info!("event=waiting ms={=u32}", millis);
            Timer::after(Duration::from_millis(u64::from(millis))).await;
        }
    }

    /// Publishes readings on one connection, until it ends.
    async fn serve<'a, P: Platform + 'a>(
        &mut self,
        session: &mut Session<'_, '_, 'a, P>,
        limit: Duration,
        backoff: &mut Backoff,
    ) -> End<TransportError<P>> {
        let mut buffer = [0; PROOF_LEN];
        // A one-time password is for a connection and not for a request, so that no request is named.
        let target = RequestTarget {
            method: "",
            authority: "",
            path: "",
        };
        let fields = match session.proof_fields(&target, &mut buffer) {
            Ok(fields) => fields,
            Err(error) => return End::Device(Failure::Proof(error)),
        };
        let mut fields = fields.iter();
        let (Some((_, client_id)), Some((_, password))) = (fields.next(), fields.next()) else {
            return End::NoPassword;
        };
        let stream = session.stream();
        match self
            .publish_all(stream, client_id, password, limit, backoff)
            .await
        {
            Ok(never) => match never {},
            Err(error) => error.into(),
        }
    }

    async fn publish_all<N: Read + Write>(
        &mut self,
        stream: N,
        client_id: &str,
        password: &str,
        limit: Duration,
        backoff: &mut Backoff,
    ) -> Result<Infallible, BrokerError> {
        let mut memory = [0; PACKETS_LEN];
        let mut packets = BumpBuffer::new(&mut memory);
        let mut client = MqttClient::new(&mut packets);
        let commands = topic(&["commands/", client_id])?;
        let readings = topic(&["readings/", client_id])?;

        let id = text(client_id)?;
        let password = MqttBinary::from_slice(password.as_bytes());
        let options = ConnectOptions::new()
            .clean_start()
            .user_name(id.as_borrowed())
            .password(password.map_err(|_| BrokerError::Topic)?);
        with_timeout(
            limit,
            client.connect(stream, &options, Some(id.as_borrowed())),
        )
        .await??;
        backoff.reset();
        defmt::info!("event=admitted by the broker");

        let filter = TopicFilter::new(text(&commands)?).ok_or(BrokerError::Topic)?;
        with_timeout(limit, async {
            client
                .subscribe(filter, &SubscriptionOptions::new())
                .await?;
            self.wait_for_answer(&mut client).await
        })
        .await??;
        loop {
            if self.pending_len == 0 {
                Timer::at(self.due).await;
                self.number = self.number.wrapping_add(1);
                let reading = Reading::now(self.number, self.sensor.millicelsius().await);
                self.pending_len = reading.write(&mut self.json);
            }
            let name = TopicName::new(text(&readings)?).ok_or(BrokerError::Topic)?;
            let options = PublicationOptions::new(TopicReference::Name(name)).at_least_once();
            with_timeout(limit, async {
                let json = self.json.get(..self.pending_len).unwrap_or_default();
                client.publish(&options, json.into()).await?;
                self.wait_for_answer(&mut client).await
            })
            .await??;
            self.pending_len = 0;
            self.due = Instant::now().saturating_add(self.interval);
        }
    }

    /// Waits until the broker has acknowledged what was sent last, and obeys the commands that come before.
    ///
    /// Commands are read here only, and wait in the buffers of TCP meanwhile: a read of TLS that is given up would break the connection,
    /// so the application does not wait for a command and for the next reading at the same time.
    async fn wait_for_answer<N: Read + Write>(
        &mut self,
        client: &mut MqttClient<'_, N>,
    ) -> Result<(), BrokerError> {
        loop {
            let is_answer = match client.poll().await? {
                Event::Publish(command) => {
                    self.interval =
                        interval_of(command.message.as_bytes()).unwrap_or(self.interval);
                    false
                }
                Event::Suback(answer) if answer.reason_code.is_erroneous() => {
                    return Err(BrokerError::Refused(answer.reason_code));
                }
                Event::PublishRejected(answer) => {
                    return Err(BrokerError::Refused(answer.reason_code));
                }
                Event::Suback(_) | Event::PublishAcknowledged(_) => true,
                _ => false,
            };
            // SAFETY: the event, which alone had references into the buffer, has been dropped.
            unsafe { client.buffer_mut().reset() };
            if is_answer {
                return Ok(());
            }
        }
    }
}

/// Returns a topic that consists of these parts.
fn topic(parts: &[&str]) -> Result<String<MAX_TOPIC_LEN>, BrokerError> {
    let mut topic = String::new();
    for part in parts {
        topic.push_str(part).map_err(|_| BrokerError::Topic)?;
    }
    // A wildcard would subscribe to the commands of others.
    if topic.contains(['+', '#']) {
        return Err(BrokerError::Topic);
    }
    Ok(topic)
}

fn text(text: &str) -> Result<MqttString<'_>, BrokerError> {
    MqttString::from_str(text).map_err(|_| BrokerError::Topic)
}
