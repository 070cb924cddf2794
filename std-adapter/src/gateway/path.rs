//! The interpretations of a request's path.
//!
//! One server behind a gateway may decode `%61`, drop `;x=1`, resolve `..`, join `//` or ignore case, and another may not. A
//! policy by path protects only if the gateway and the server interpret the path in the same way. A policy with several rules
//! therefore rejects a path whose interpretations lead to different rules, or which has parts that servers interpret in different
//! ways.

/// The interpretations of one path.
pub(super) struct Readings {
    /// The path after one percent-decoding, with empty and dot segments resolved.
    pub(super) decoded: String,
    /// The same path in lower case, without the parts that some servers drop: parameters (`;x=1`), and spaces and dots at the end
    /// of a segment.
    pub(super) folded: String,
    /// True if the path has parts that servers interpret in different ways, even if `decoded` and `folded` agree.
    pub(super) is_doubtful: bool,
}

impl Readings {
    /// Interprets a path, in time linear in its length.
    pub(super) fn of(path: &str) -> Self {
        let mut decoded = Vec::new();
        let mut is_doubtful = decode(path.bytes(), &mut decoded);
        let text = String::from_utf8(decoded).unwrap_or_else(|error| {
            is_doubtful = true;
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        });
        let mut plain = Vec::new();
        let mut folded: Vec<String> = Vec::new();
        for segment in text.split(['/', '\\']) {
            resolve(&mut plain, segment, str::to_owned);
            let bare = segment.split(';').next().unwrap_or_default();
            // Dot segments, and segments of dots and spaces that some servers take for dot segments.
            is_doubtful |= !bare.is_empty() && bare.trim_end_matches(['.', ' ', '\t']).is_empty();
            resolve(&mut folded, bare, |bare| {
                let bare = bare.trim_end_matches(['.', ' ']);
                bare.to_lowercase()
            });
        }
        Self {
            decoded: joined(&plain),
            folded: joined(&folded),
            is_doubtful,
        }
    }
}

/// Appends a segment after applying `read` to it, or resolves it if it is empty or a dot segment.
fn resolve(segments: &mut Vec<String>, segment: &str, read: impl Fn(&str) -> String) {
    match segment {
        "" | "." => {}
        ".." => {
            segments.pop();
        }
        other => segments.push(read(other)),
    }
}

fn joined(segments: &[String]) -> String {
    format!("/{}", segments.join("/"))
}

/// Percent-decodes `bytes` once. Returns true if they have parts that servers interpret in different ways: control bytes, encoded
/// separators, backslashes, doubly encoded bytes, and invalid encodings.
fn decode(bytes: impl Iterator<Item = u8>, out: &mut Vec<u8>) -> bool {
    let mut bytes = bytes.peekable();
    let mut is_doubtful = false;
    while let Some(first) = bytes.next() {
        if first != b'%' {
            is_doubtful |= first.is_ascii_control() || first == b'\\';
            out.push(first);
            continue;
        }
        let high = bytes.next_if(u8::is_ascii_hexdigit);
        let low = high.and_then(|_| bytes.next_if(u8::is_ascii_hexdigit));
        match (high.and_then(digit), low.and_then(digit)) {
            (Some(high), Some(low)) => {
                let byte = high << 4 | low;
                is_doubtful |= byte.is_ascii_control() || matches!(byte, b'/' | b'\\' | b'%');
                out.push(byte);
            }
            _ => {
                is_doubtful = true;
                out.push(b'%');
                out.extend(high);
            }
        }
    }
    is_doubtful
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn interprets_paths_and_marks_doubtful_ones() {
        for (path, decoded, folded, is_doubtful) in [
            ("/a/b", "/a/b", "/a/b", false),
            ("//a/./b/", "/a/b", "/a/b", true),
            ("/%61%20b", "/a b", "/a b", false),
            ("/Admin", "/Admin", "/admin", false),
            ("/admin;x=1/y", "/admin;x=1/y", "/admin/y", false),
            ("/admin%20", "/admin ", "/admin", false),
            ("/admin.", "/admin.", "/admin", false),
            ("/a/../b", "/b", "/b", true),
            ("/a/..;/b", "/a/..;/b", "/b", true),
            ("/a/%2e%2e;x/b", "/a/..;x/b", "/b", true),
            ("/a/..%00", "/a/..\0", "/a/..\0", true),
            ("/%2561", "/%61", "/%61", true),
            ("/a%2fb", "/a/b", "/a/b", true),
            ("/a%5cb", "/a/b", "/a/b", true),
            ("/a\\..\\b", "/b", "/b", true),
            ("/%zz%4", "/%zz%4", "/%zz%4", true),
            ("/%c0%ae", "/\u{fffd}\u{fffd}", "/\u{fffd}\u{fffd}", true),
            ("/%", "/%", "/%", true),
            ("/%20/admin", "/ /admin", "//admin", true),
            ("/.../admin", "/.../admin", "//admin", true),
            ("/open/..%20./x", "/open/.. ./x", "/open//x", true),
        ] {
            let readings = Readings::of(path);
            assert_eq!(readings.decoded, decoded, "{path}");
            if !path.contains("%00") {
                assert_eq!(readings.folded, folded, "{path}");
            }
            assert_eq!(readings.is_doubtful, is_doubtful, "{path}");
        }
    }

    /// Counts steps instead of measuring time: twice as many bytes must take twice as many steps, for every kind of path.
    #[test]
    fn decodes_in_linear_time() {
        for unit in [
            "%25",
            "%2525",
            "%",
            "%2",
            "a",
            "/",
            "/..",
            "%2e%2e%2f",
            "%e2%82%ac",
        ] {
            let steps = |times: usize| {
                let path = unit.repeat(times);
                let steps = Cell::new(0usize);
                let counted = path.bytes().inspect(|_| steps.set(steps.get() + 1));
                let mut out = Vec::new();
                decode(counted, &mut out);
                assert!(out.len() <= path.len());
                steps.get()
            };
            assert_eq!(steps(2_000), 2 * steps(1_000), "{unit}");
            assert_eq!(steps(1_000), 1_000 * unit.len(), "{unit}");
        }
    }
}
