use precis_profiles::{
    OpaqueString, UsernameCasePreserved, precis_core::profile::PrecisFastInvocation,
};
use zeroize::Zeroizing;

/// The error of preparing a name or a password (RFC 8265).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreparationError {
    /// The name is empty or has a character that is not allowed.
    #[error(
        "the user name is empty or has a character that RFC 8265 does not allow in one (section 3.4.1)"
    )]
    User,
    /// The password is empty or has a character that is not allowed.
    #[error(
        "the password is empty or has a character that RFC 8265 does not allow in one (section 4.2)"
    )]
    Password,
}

/// Prepares the name of a user: its words by the profile UsernameCasePreserved of RFC 8265, one space between two.
///
/// # Errors
/// [`PreparationError::User`]
pub fn prepared_user(name: &str) -> Result<String, PreparationError> {
    // Section 3.1: a name is one or more userparts, and the profile is applied to each.
    let parts = name.split(' ').map(|part| {
        let part = UsernameCasePreserved::enforce(part);
        part.map_err(|_| PreparationError::User)
    });
    let parts: Result<Vec<_>, _> = parts.collect();
    Ok(parts?.join(" "))
}

/// Prepares a password by the profile OpaqueString of RFC 8265.
///
/// # Errors
/// [`PreparationError::Password`]
pub fn prepared_password(password: &str) -> Result<Zeroizing<String>, PreparationError> {
    let prepared = OpaqueString::enforce(password);
    prepared
        .map(|password| Zeroizing::new(password.into_owned()))
        .map_err(|_| PreparationError::Password)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 8265 sections 3.5 and 4.3.
    #[test]
    fn the_examples_of_the_rfc_hold() {
        for name in [
            "juliet@example.com",
            "fussball",
            "fu\u{df}ball",
            "\u{3c0}",
            "\u{3a3}",
            "\u{3c3}",
            "\u{3c2}",
        ] {
            assert_eq!(prepared_user(name).as_deref(), Ok(name));
        }
        for name in ["", " ", "a  b", "henry\u{2163}", "\u{265a}", "a\u{1}"] {
            assert_eq!(prepared_user(name), Err(PreparationError::User), "{name:?}");
        }
        assert_eq!(prepared_user("foo bar").as_deref(), Ok("foo bar"));
        for password in [
            "correct horse battery staple",
            "Correct Horse Battery Staple",
            "\u{3c0}\u{df}\u{e5}",
            "Jack of \u{2666}s",
        ] {
            assert_eq!(prepared_password(password).unwrap().as_str(), password);
        }
        // A space of another kind becomes a space.
        let spaced = prepared_password("foo\u{1680}bar").unwrap();
        assert_eq!(spaced.as_str(), "foo bar");
        for password in ["", "my cat is a \u{9}by"] {
            assert_eq!(prepared_password(password), Err(PreparationError::Password));
        }
        // Two ways to write one letter are one password.
        assert_eq!(prepared_password("e\u{301}"), prepared_password("\u{e9}"));
    }
}
