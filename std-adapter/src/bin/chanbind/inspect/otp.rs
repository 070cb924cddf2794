//! `inspect otp`: prints a one-time password.

use crate::{failure::Failure, files::read};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chanbind::protocol::otp::{jwe, jws, scratch_len};
use std::{fmt::Write, path::Path};

pub(super) fn token(out: &mut String, path: &Path) -> Result<(), Failure> {
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| format!("{}: not UTF-8 text", path.display()))?
        .trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text);
    let parts: Vec<_> = text.split('.').collect();
    let mut scratch = vec![0; scratch_len(text.len())];
    let (form, checked) = match parts.len() {
        1 if text.len() == 44 => {
            writeln!(
                out,
                "API key: 32 bytes in base64, valid on one connection only"
            )?;
            return Ok(());
        }
        3 => (
            "JWS, signed",
            jws::peek_header(text, &mut scratch).map(|_| ()),
        ),
        5 => (
            "JWE, encrypted",
            jwe::peek_header(text, &mut scratch).map(|_| ()),
        ),
        _ => {
            return Err(
                "not a token: an API key has 44 characters, a JWS three parts, a JWE five".into(),
            );
        }
    };
    writeln!(out, "{form}; not verified here")?;
    let json = |part: &str| {
        BASE64_URL_SAFE_NO_PAD.decode(part).map_or_else(
            |error| format!("not base64url ({error})"),
            |bytes| {
                String::from_utf8_lossy(&bytes)
                    .escape_debug()
                    .to_string()
                    .replace("\\\"", "\"")
            },
        )
    };
    writeln!(
        out,
        "  header   {}",
        json(parts.first().copied().unwrap_or_default())
    )?;
    if parts.len() == 3 {
        writeln!(
            out,
            "  claims   {}",
            json(parts.get(1).copied().unwrap_or_default())
        )?;
    } else {
        writeln!(
            out,
            "  content  {} characters, hidden without the key",
            parts.get(3).map_or(0, |part| part.len())
        )?;
    }
    match checked {
        Ok(()) => writeln!(out, "  a gateway would verify it")?,
        Err(error) => writeln!(out, "  a gateway would reject it: {error}")?,
    }
    Ok(())
}
