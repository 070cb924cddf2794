use std::error::Error;

/// The error of a command. Its text is printed for the user.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;
