use std::fmt;

/// A place in a registry's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The client whose table it is in, from the header `[clients.NAME]` before it.
    pub client: Option<String>,
}

impl Place {
    pub(super) fn of(text: &str, at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        // The error may be in the header itself, so that whole line counts.
        let rest = text.get(before.len()..).unwrap_or_default();
        let to_its_end = rest.split('\n').next().map_or(0, str::len);
        let seen = text.get(..before.len() + to_its_end).unwrap_or(before);
        let name = seen.lines().rev().find_map(|line| {
            let header = line.trim().strip_prefix("[clients.")?;
            header.split(']').next()
        });
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            client: name.map(|name| name.trim_matches('"').to_owned()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        match &self.client {
            Some(client) => write!(f, ", client {client:?}"),
            None => Ok(()),
        }
    }
}
