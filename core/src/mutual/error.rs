use super::MessageError;
use crate::{binding::BindingError, error_messages, wire::Full};

/// The error of setting up an authentication, and of carrying one out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MutualError {
    /// The text is no origin.
    Origin,
    /// An authentication scope or the name of a realm is invalid or too long.
    Realm,
    /// The name of a user is empty, too long or not prepared.
    UserName,
    /// A password is empty, too long or not prepared.
    Password,
    /// The text is no stored credential.
    Stored,
    /// The stored credential belongs to another algorithm, scope, realm or user.
    Reregister,
    /// A message has another form than RFC 8120 section 4 says.
    Message(MessageError),
    /// K_c1, K_s1, J or z is not in the range of the group, or not of its natural length.
    Value,
    /// The connection has no binding for the validation method.
    Channel(BindingError),
    /// The generator of random numbers gave no number in the range of the group, four times in a row.
    Random,
    /// All nonce numbers of the session are used up.
    NoncesExhausted,
    /// The message is longer than the buffer for it.
    BufferTooSmall,
}

error_messages! { MutualError {
    Self::Origin => "not an origin: write scheme, host and port, like https://gateway.example or http://10.0.0.1:8080";
    Self::Realm => "not a realm: write an authentication scope (an origin, a host, or *. and a domain, in lower case), and a name of at most 128 ASCII characters";
    Self::UserName => "not a user name: it has 1 to 128 bytes in UTF-8, without control characters";
    Self::Password => "not a password: it has 1 to 256 bytes in UTF-8, without control characters";
    Self::Stored => "not a stored credential of a version and algorithm that this build has: register the user again";
    Self::Reregister => "the password was registered for another algorithm, authentication scope, realm or user: register it again";
    Self::Message(error) => "{}", error;
    Self::Value => "a value of the key exchange is out of range";
    Self::Channel(error) => "the connection has no binding for the validation method: {}", error;
    Self::Random => "the random number generator is faulty: it gave four numbers out of range";
    Self::NoncesExhausted => "all nonce numbers of the session are used up: start a new key exchange";
    Self::BufferTooSmall => "the buffer is too small for the message";
}}

impl core::error::Error for MutualError {}

impl From<Full> for MutualError {
    fn from(Full: Full) -> Self {
        Self::BufferTooSmall
    }
}

impl From<MessageError> for MutualError {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}
