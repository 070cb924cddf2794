//! Checks the English of comments, string literals and Markdown against the patterns of `host-tests/prose.toml`.

use crate::{TaskResult, root, run};
use serde::Deserialize;
use std::{collections::BTreeMap, error::Error, fs, io};

/// The file with the patterns, relative to the root folder of the workspace.
const PATTERNS: &str = "host-tests/prose.toml";

/// Checks all tracked Rust and Markdown files, except changelogs, prints the findings, and fails if there are any.
pub(crate) fn check() -> TaskResult {
    let patterns = fs::read_to_string(root().join(PATTERNS))
        .map_err(|error| format!("{PATTERNS}: {error}"))?;
    let patterns: Patterns =
        toml::from_str(&patterns).map_err(|error| format!("{PATTERNS}: {error}"))?;
    let mut count = 0;
    for path in tracked_files()? {
        let source = match fs::read_to_string(root().join(&path)) {
            Ok(source) => source,
            // The file is deleted, but the index still has it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("{path}: {error}").into()),
        };
        let passages = if path.ends_with(".rs") {
            rust_passages(&source)
        } else {
            vec![Passage::new(1, &source)]
        };
        for finding in patterns.find_in(&passages) {
            println!(
                "{path}:{}: \"{}\": {}",
                finding.line, finding.pattern, finding.advice
            );
            count += 1;
        }
    }
    if count > 0 {
        return Err(format!(
            "{PATTERNS} forbids the patterns above, found {count} times: rewrite these texts"
        )
        .into());
    }
    Ok(())
}

/// Returns the paths of the files to check, relative to the root folder of the workspace.
fn tracked_files() -> Result<Vec<String>, Box<dyn Error>> {
    let output = run::command(&["git", "ls-files", "-z", "--", "*.rs", "*.md"])
        .output()
        .map_err(|error| format!("git, which lists the files to check: {error}"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("git ls-files ended with {}: {message}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?
        .split_terminator('\0')
        .filter(|path| path.rsplit('/').next() != Some("CHANGELOG.md"))
        .map(str::to_owned)
        .collect())
}

/// The contents of `host-tests/prose.toml`: patterns with their advice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patterns {
    /// Words and phrases that no text may contain.
    anywhere: BTreeMap<String, String>,
    /// Words with which no doc comment may begin.
    doc_openings: BTreeMap<String, String>,
}

/// A forbidden pattern in a file.
#[derive(Debug, PartialEq, Eq)]
struct Finding<'p> {
    /// The line of the file, counted from 1.
    line: usize,
    pattern: &'p str,
    advice: &'p str,
}

impl Patterns {
    /// Returns the findings in the passages of a file, in the order of their lines.
    fn find_in<'p>(&'p self, passages: &[Passage]) -> Vec<Finding<'p>> {
        let mut findings = Vec::new();
        let mut add = |line, (pattern, advice): (&'p String, &'p String)| {
            findings.push(Finding {
                line,
                pattern,
                advice,
            });
        };
        for passage in passages {
            let words = words(&passage.text);
            for entry in &self.anywhere {
                for at in find_phrase(&passage.text, &words, entry.0) {
                    add(passage.line_of(at), entry);
                }
            }
            for entry in &self.doc_openings {
                if passage.is_doc && begins_with(&passage.text, &words, entry.0) {
                    add(passage.line, entry);
                }
            }
        }
        findings.sort_by_key(|finding| finding.line);
        findings
    }
}

/// Returns the words of a text with the offsets of their first bytes. Only letters, digits and `_` belong to words.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = 0;
    for word in text.split(|c| !is_word(c)) {
        if !word.is_empty() {
            words.push((start, word));
        }
        start += word.len();
        start += text[start..].chars().next().map_or(0, char::len_utf8);
    }
    words
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the offsets at which a text contains the words of `pattern`, with nothing but white space between them.
fn find_phrase(text: &str, words: &[(usize, &str)], pattern: &str) -> Vec<usize> {
    let pattern: Vec<_> = pattern.split(' ').collect();
    let is_phrase = |window: &[(usize, &str)]| {
        let mut pairs = window.iter().zip(&pattern);
        let mut gaps = window.iter().zip(window.iter().skip(1));
        pairs.all(|((_, word), pattern)| word.eq_ignore_ascii_case(pattern))
            && gaps.all(|((at, word), (next, _))| text[at + word.len()..*next].trim().is_empty())
    };
    words
        .windows(pattern.len())
        .filter(|window| is_phrase(window))
        .map(|window| window[0].0)
        .collect()
}

/// Returns whether a text begins with a word. A word in markup, such as a heading, does not count.
fn begins_with(text: &str, words: &[(usize, &str)], pattern: &str) -> bool {
    words.first().is_some_and(|(at, word)| {
        text[..*at].trim().is_empty() && word.eq_ignore_ascii_case(pattern)
    })
}

/// A text that people read: a comment, adjacent line comments of the same kind, a string literal, or a Markdown file.
#[derive(Debug, PartialEq, Eq)]
struct Passage {
    /// The line of the file in which the text begins, counted from 1.
    line: usize,
    text: String,
    /// True if the text is a doc comment.
    is_doc: bool,
}

impl Passage {
    fn new(line: usize, text: &str) -> Self {
        Self {
            line,
            text: text.to_owned(),
            is_doc: false,
        }
    }

    /// Returns the line of the file with the byte at this offset of the text.
    fn line_of(&self, offset: usize) -> usize {
        self.line + line_breaks(&self.text[..offset])
    }
}

fn line_breaks(text: &str) -> usize {
    text.matches('\n').count()
}

/// Returns the comments and string literals of Rust source text.
fn rust_passages(source: &str) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    // The marker and the line of the preceding line comment, if the next one may continue it.
    let mut preceding: Option<(&str, usize)> = None;
    let (mut rest, mut line) = (source, 1);
    while !rest.is_empty() {
        let (len, token) = first_token(rest);
        let (consumed, behind) = rest.split_at(len);
        match token {
            Token::LineComment { marker, text } => {
                match passages.last_mut() {
                    Some(last) if preceding == Some((marker, line - 1)) => {
                        last.text.push('\n');
                        last.text.push_str(text);
                    }
                    _ => passages.push(Passage {
                        is_doc: is_doc(marker),
                        ..Passage::new(line, text)
                    }),
                }
                preceding = Some((marker, line));
            }
            Token::BlockComment { marker, text } => passages.push(Passage {
                is_doc: is_doc(marker),
                ..Passage::new(line, text)
            }),
            Token::Literal(text) => passages.push(Passage::new(line, &unescape(text))),
            Token::RawLiteral(text) => passages.push(Passage::new(line, text)),
            Token::Code => {}
        }
        if !matches!(token, Token::LineComment { .. }) && !consumed.trim().is_empty() {
            preceding = None;
        }
        line += line_breaks(consumed);
        rest = behind;
    }
    passages
}

/// A piece of Rust source text.
#[derive(Clone, Copy)]
enum Token<'s> {
    /// A line comment, without its line break.
    LineComment {
        marker: &'s str,
        text: &'s str,
    },
    BlockComment {
        marker: &'s str,
        text: &'s str,
    },
    /// The contents of a string literal with escapes.
    Literal(&'s str),
    /// The contents of a raw string literal.
    RawLiteral(&'s str),
    /// An identifier, a number, a character literal, or any other character.
    Code,
}

/// Returns the length in bytes of the first token of a text that is not empty, and the token.
fn first_token(source: &str) -> (usize, Token<'_>) {
    if source.starts_with("//") {
        let len = source.find('\n').unwrap_or(source.len());
        let (marker, text) = source[..len].split_at(marker_len(source, "////", ["///", "//!"]));
        return (len, Token::LineComment { marker, text });
    }
    if source.starts_with("/*") {
        let len = block_comment_len(source);
        let (marker, text) = source[..len].split_at(marker_len(source, "/***", ["/**", "/*!"]));
        return (len, Token::BlockComment { marker, text });
    }
    let prefix_len = source.find(|c| !is_word(c)).unwrap_or(source.len());
    let (prefix, behind) = source.split_at(prefix_len);
    match prefix {
        "" | "b" | "c" => {
            if let Some(contents) = behind.strip_prefix('"') {
                let len = literal_len(contents);
                let quotes = if len < contents.len() { 2 } else { 1 };
                return (prefix_len + len + quotes, Token::Literal(&contents[..len]));
            }
        }
        "r" | "br" | "cr" => {
            let hashes = behind.len() - behind.trim_start_matches('#').len();
            if let Some(contents) = behind[hashes..].strip_prefix('"') {
                let end = format!("\"{}", "#".repeat(hashes));
                let (text, end_len) = match contents.split_once(&end) {
                    Some((text, _)) => (text, end.len()),
                    None => (contents, 0),
                };
                let len = prefix_len + hashes + 1 + text.len() + end_len;
                return (len, Token::RawLiteral(text));
            }
        }
        _ => {}
    }
    if prefix_len > 0 {
        return (prefix_len, Token::Code);
    }
    let char_len = |text: &str| text.chars().next().map_or(0, char::len_utf8);
    let len = match source.strip_prefix('\'') {
        // An escape: the character behind the backslash may be a quote.
        Some(char) if char.starts_with('\\') => {
            let escaped = 2 + char_len(&source[2..]);
            let end = source[escaped..].find('\'');
            end.map_or(source.len(), |end| escaped + end + 1)
        }
        Some(char) if char[char_len(char)..].starts_with('\'') => 1 + char_len(char) + 1,
        // A lifetime.
        Some(_) => 1,
        None => char_len(source),
    };
    (len, Token::Code)
}

/// Returns the length of the marker that opens a comment: that of a doc comment, unless `plain` is there, or else two bytes.
fn marker_len(comment: &str, plain: &str, doc: [&str; 2]) -> usize {
    let is_doc = !comment.starts_with(plain) && doc.iter().any(|doc| comment.starts_with(doc));
    if is_doc { 3 } else { 2 }
}

fn is_doc(marker: &str) -> bool {
    marker.len() == 3
}

/// Returns the length in bytes of a block comment, which may contain others.
fn block_comment_len(source: &str) -> usize {
    let (mut len, mut depth) = (0, 0);
    loop {
        let rest = &source[len..];
        if rest.starts_with("/*") {
            (len, depth) = (len + 2, depth + 1);
        } else if rest.starts_with("*/") {
            (len, depth) = (len + 2, depth - 1);
        } else {
            match rest.chars().next() {
                Some(c) => len += c.len_utf8(),
                None => return len,
            }
        }
        if depth == 0 {
            return len;
        }
    }
}

/// Returns the length in bytes of the contents of a string literal, whose opening quote is left out.
fn literal_len(contents: &str) -> usize {
    let mut chars = contents.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return at,
            '\\' => {
                chars.next();
            }
            _ => {}
        }
    }
    contents.len()
}

/// Replaces the escapes of a string literal. White space stands for those other than quotes, backslashes and line breaks.
fn unescape(contents: &str) -> String {
    let mut text = String::with_capacity(contents.len());
    let mut chars = contents.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some(c @ ('"' | '\'' | '\\' | '\n')) => text.push(c),
            Some(_) => text.push(' '),
            None => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns() -> Patterns {
        toml::from_str(
            r#"
            [anywhere]
            gizmo = "say part"
            "was built" = "say built"
            [doc_openings]
            Why = "begin with a verb"
            "#,
        )
        .unwrap()
    }

    /// Returns the lines and patterns of the findings in Rust source text.
    fn findings(source: &str) -> Vec<(usize, String)> {
        let patterns = patterns();
        let findings = patterns.find_in(&rust_passages(source));
        findings
            .iter()
            .map(|finding| (finding.line, finding.pattern.to_owned()))
            .collect()
    }

    fn found(pattern: &str, lines: &[usize]) -> Vec<(usize, String)> {
        lines
            .iter()
            .map(|line| (*line, pattern.to_owned()))
            .collect()
    }

    fn texts(source: &str) -> Vec<String> {
        let passages = rust_passages(source).into_iter();
        passages.map(|passage| passage.text).collect()
    }

    #[test]
    fn finds_words_in_comments_and_literals_but_not_in_code() {
        let source = "let gizmo = 1; // a Gizmo\n\
                      /* the gizmo's */\n\
                      print(\"gizmo\", r#\"gizmo\"#, b\"gizmo\");\n\
                      //! gizmos and gizmo_1\n";
        assert_eq!(findings(source), found("gizmo", &[1, 2, 3, 3, 3]));
    }

    #[test]
    fn finds_phrases_across_line_breaks() {
        let source = "/// It was\n/// built.\n// It was\n\n// built\nlet a = \"was \\\n built\";\n// was `built`\n";
        assert_eq!(findings(source), found("was built", &[1, 6]));
    }

    #[test]
    fn finds_openings_of_doc_comments_only() {
        let source = "/// Why it is.\n/// Why not.\nfn a() {}\n\
                      //! Why\n\
                      /** Why */\n\
                      // Why\n\
                      //// Why\n\
                      /// # Why\n\
                      /// This is why.\n";
        assert_eq!(findings(source), found("Why", &[1, 4, 5]));
    }

    #[test]
    fn tells_literals_and_comments_from_other_tokens() {
        assert_eq!(
            texts(
                r####"('"', '\'', b'\\', 'x', '"', "a \" // b", &'a str, r#type, br##"c"#"##, "d\n\u{e}")"####
            ),
            [r#"a " // b"#, "c\"#", "d  {e}"]
        );
        assert_eq!(texts("/* a /* \" */ b */ \"c\""), [" a /* \" */ b */", "c"]);
    }

    #[test]
    fn ends_with_the_source_text() {
        for source in ["// a", "/* a", "\"a", "\"a\\", "r#\"a", "'", "'\\", "a"] {
            assert!(rust_passages(source).len() <= 1, "{source}");
        }
    }

    #[test]
    fn parses_the_patterns_of_the_project() {
        let text = fs::read_to_string(root().join(PATTERNS)).unwrap();
        let patterns: Patterns = toml::from_str(&text).unwrap();
        assert!(!patterns.anywhere.is_empty() && !patterns.doc_openings.is_empty());
    }
}
