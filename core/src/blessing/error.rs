use super::{CaveatError, MAX_CAVEATS, MAX_CHAINS, MAX_DEPTH, MAX_NAMES_LEN, vom::VomError};
use crate::error_messages;

/// The error of blessings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlessingError {
    /// The encoding is invalid.
    Vom(VomError),
    /// There is no chain of certificates.
    NoChain,
    /// A chain has no certificate.
    EmptyChain,
    /// There are more than [`MAX_CHAINS`] chains.
    TooManyChains,
    /// A chain has more than [`MAX_DEPTH`] certificates.
    TooDeep,
    /// A certificate or a discharge has more than [`MAX_CAVEATS`] caveats.
    TooManyCaveats,
    /// The names have more than [`MAX_NAMES_LEN`] bytes together.
    NamesTooLong,
    /// The extension of a certificate is invalid.
    Extension,
    /// A public key is malformed, or its algorithm is not supported.
    Key,
    /// A signature is for another purpose than certificates.
    Purpose,
    /// A signature is invalid.
    Signature,
    /// Two chains end in different public keys.
    KeysDiffer,
    /// The root of a chain is not recognized for its name.
    Root,
    /// A caveat does not hold.
    Caveat(CaveatError),
    /// The buffer is too small.
    BufferTooSmall,
}

error_messages! { BlessingError {
    Self::Vom(error) => "{}", error;
    Self::NoChain => "the blessings have no certificates";
    Self::EmptyChain => "a chain of the blessings has no certificates";
    Self::TooManyChains => "the blessings have more than {} chains", MAX_CHAINS;
    Self::TooDeep => "a chain of the blessings has more than {} certificates", MAX_DEPTH;
    Self::TooManyCaveats => "a certificate has more than {} caveats", MAX_CAVEATS;
    Self::NamesTooLong => "the names of the blessings have more than {} bytes together", MAX_NAMES_LEN;
    Self::Extension => "the extension of a certificate is empty, not UTF-8, begins or ends with ':', ends with '$', or contains one of ... :: , @@ ( ) < > /";
    Self::Key => "a public key is malformed, or its algorithm is not supported here";
    Self::Purpose => "a signature on a certificate is missing, or was made for another purpose";
    Self::Signature => "a signature is invalid";
    Self::KeysDiffer => "the chains of the blessings end in different public keys";
    Self::Root => "the root of the blessings is not recognized for this name: add it to the roots";
    Self::Caveat(reason) => "{}", reason;
    Self::BufferTooSmall => "the buffer is too small for the blessings: give a larger one";
}}

impl core::error::Error for BlessingError {}

impl From<VomError> for BlessingError {
    fn from(error: VomError) -> Self {
        Self::Vom(error)
    }
}

impl From<CaveatError> for BlessingError {
    fn from(error: CaveatError) -> Self {
        Self::Caveat(error)
    }
}
