//! The notation of the models in `docs/models`, which `docs/models/README.md` describes.

use std::collections::{BTreeMap, BTreeSet};

/// A model: what everyone knows, the roles of the protocol, and the properties with their broken twins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// All function symbols, with the number of their arguments.
    pub(crate) symbols: BTreeMap<String, usize>,
    /// The symbols that everyone can apply.
    pub(crate) public: BTreeSet<String>,
    /// Abbreviations.
    pub(crate) definitions: BTreeMap<String, Definition>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) roles: Vec<Role>,
    pub(crate) properties: Vec<Property>,
    pub(crate) twins: Vec<Twin>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    Variable(String),
    Application(String, Vec<Term>),
}

#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) parameters: Vec<String>,
    pub(crate) body: Term,
}

/// A party that knows the premises can compute the conclusion.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) premises: Vec<Term>,
    pub(crate) conclusion: Term,
}

#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) label: Option<String>,
    pub(crate) action: Action,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Takes any known term.
    For(String),
    /// Takes a fresh secret value.
    New(String),
    /// Opens a channel: its name, the own end and the peer's end.
    Connect(String, String, String),
    /// Accepts a channel: its name, the peer's end and the own end.
    Accept(String, String, String),
    Receive(Term),
    Send(Term),
    Claim(Fact),
}

/// A claim of a role, or `known` with a term that the attacker knows.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) terms: Vec<Term>,
}

#[derive(Clone, Debug)]
pub(crate) struct Property {
    pub(crate) name: String,
    /// True if the fact must be reachable: the protocol can be completed.
    pub(crate) is_reached: bool,
    pub(crate) fact: Fact,
    /// The attacker's additional knowledge.
    pub(crate) given: Vec<Rule>,
}

/// A change of the protocol after which a property does not hold.
#[derive(Clone, Debug)]
pub(crate) struct Twin {
    pub(crate) name: String,
    pub(crate) breaks: String,
    pub(crate) edits: Vec<Edit>,
}

#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Drop(String),
    Replace(Term, Term),
    Define(String, Definition),
    Give(Rule),
}

/// The symbols of channels, which every model has.
const CHANNELS: [(&str, usize); 3] = [("chan", 2), ("ekm", 2), ("attacker", 1)];

impl Model {
    /// Parses a model.
    ///
    /// # Errors
    /// Returns the line and the reason.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut model = Self::default();
        for (name, arity) in CHANNELS {
            model.symbols.insert(name.to_owned(), arity);
        }
        model.public.insert("attacker".to_owned());
        let lines: Vec<Line<'_>> = text.lines().enumerate().filter_map(Line::new).collect();
        let at = |line: &Line<'_>, error| format!("line {}: {error}", line.number);
        let mut blocks: Vec<(&Line<'_>, Vec<&Line<'_>>)> = Vec::new();
        for line in &lines {
            match blocks.last_mut() {
                Some((_, inner)) if line.is_indented => inner.push(line),
                _ if line.is_indented => return Err(at(line, "the first line is indented".into())),
                _ => blocks.push((line, Vec::new())),
            }
        }
        for (line, inner) in &blocks {
            model
                .declare(line, inner)
                .map_err(|error| at(line, error))?;
        }
        for (line, inner) in &blocks {
            model.add(line).map_err(|error| at(line, error))?;
            for step in inner {
                model
                    .add_inner(line.word, step)
                    .map_err(|error| at(step, error))?;
            }
        }
        model.check()?;
        Ok(model)
    }

    /// Declares the symbols of a block, so that the order of blocks does not matter.
    fn declare(&mut self, line: &Line<'_>, inner: &[&Line<'_>]) -> Result<(), String> {
        let names = line.rest.split_whitespace();
        match line.word {
            "secret" | "public" => {
                for name in names {
                    self.symbol(name, 0, line.word == "public")?;
                }
            }
            "function" | "private" => {
                for name in names {
                    let (name, arity) = name.split_once('/').ok_or("write name/arity")?;
                    let arity = arity.parse().map_err(|_| "write name/arity")?;
                    self.symbol(name, arity, line.word == "function")?;
                }
            }
            "role" => {
                // A fresh value and the end of a channel depend on the session and on what the role took before.
                let mut arity = 1;
                for step in inner {
                    match step.word {
                        "for" => arity += 1,
                        "new" => self.symbol(step.rest, arity, false)?,
                        "connect" | "accept" => self.symbol(line.rest, arity, false)?,
                        _ => {}
                    }
                }
            }
            "define" => {
                let (name, definition) = self.definition(line.rest)?;
                self.definitions.insert(name, definition);
            }
            _ => {}
        }
        Ok(())
    }

    fn symbol(&mut self, name: &str, arity: usize, is_public: bool) -> Result<(), String> {
        if self.symbols.insert(name.to_owned(), arity).is_some() {
            return Err(format!("{name} is declared twice"));
        }
        if is_public {
            self.public.insert(name.to_owned());
        }
        Ok(())
    }

    fn add(&mut self, line: &Line<'_>) -> Result<(), String> {
        match line.word {
            "secret" | "public" | "function" | "private" | "define" => {}
            "rule" => {
                let rule = self.rule(line.rest)?;
                self.rules.push(rule);
            }
            "role" => self.roles.push(Role {
                name: line.rest.to_owned(),
                steps: Vec::new(),
            }),
            "property" => self.properties.push(Property {
                name: line.rest.to_owned(),
                is_reached: false,
                fact: Fact {
                    name: String::new(),
                    terms: Vec::new(),
                },
                given: Vec::new(),
            }),
            "broken" => self.twins.push(Twin {
                name: line.rest.to_owned(),
                breaks: String::new(),
                edits: Vec::new(),
            }),
            word => return Err(format!("unknown statement {word}")),
        }
        Ok(())
    }

    fn add_inner(&mut self, block: &str, line: &Line<'_>) -> Result<(), String> {
        match block {
            "role" => {
                let step = self.step(line)?;
                let role = self.roles.last_mut().ok_or("no role")?;
                role.steps.push(step);
            }
            "property" => {
                let fact = match line.word {
                    "never" | "reached" => Some(self.fact(line.rest)?),
                    _ => None,
                };
                let rule = match line.word {
                    "given" => Some(self.given(line.rest)?),
                    "rule" => Some(self.rule(line.rest)?),
                    _ => None,
                };
                let property = self.properties.last_mut().ok_or("no property")?;
                match (fact, rule) {
                    (Some(fact), _) => {
                        property.fact = fact;
                        property.is_reached = line.word == "reached";
                    }
                    (_, Some(rule)) => property.given.push(rule),
                    _ => return Err(format!("unknown statement {}", line.word)),
                }
            }
            "broken" => {
                let edit = match line.word {
                    "breaks" => None,
                    "drop" => Some(Edit::Drop(line.rest.to_owned())),
                    "replace" => {
                        let (old, new) = line.rest.split_once(" by ").ok_or("write A by B")?;
                        Some(Edit::Replace(self.term(old)?, self.term(new)?))
                    }
                    "define" => {
                        let (name, definition) = self.definition(line.rest)?;
                        Some(Edit::Define(name, definition))
                    }
                    "given" => Some(Edit::Give(self.given(line.rest)?)),
                    "rule" => Some(Edit::Give(self.rule(line.rest)?)),
                    word => return Err(format!("unknown statement {word}")),
                };
                let twin = self.twins.last_mut().ok_or("no broken twin")?;
                match edit {
                    Some(edit) => twin.edits.push(edit),
                    None => line.rest.clone_into(&mut twin.breaks),
                }
            }
            _ => return Err(format!("{block} has no indented lines")),
        }
        Ok(())
    }

    fn step(&self, line: &Line<'_>) -> Result<Step, String> {
        let (label, word, rest) = match line.word.strip_prefix('@') {
            Some(label) => {
                let (word, rest) = split_word(line.rest);
                (Some(label.to_owned()), word, rest)
            }
            None => (None, line.word, line.rest),
        };
        let ends = || {
            let (channel, ends) = rest.split_once(" = ").ok_or("write C = chan(X, Y)")?;
            match self.term(ends)? {
                Term::Application(name, arguments) if name == "chan" => match &arguments[..] {
                    [Term::Variable(x), Term::Variable(y)] => {
                        Ok((channel.trim().to_owned(), x.clone(), y.clone()))
                    }
                    _ => Err("the ends of a channel are variables".to_owned()),
                },
                _ => Err("write C = chan(X, Y)".to_owned()),
            }
        };
        let action = match word {
            "for" => Action::For(rest.to_owned()),
            "new" => Action::New(rest.to_owned()),
            "connect" => ends().map(|(c, x, y)| Action::Connect(c, x, y))?,
            "accept" => ends().map(|(c, x, y)| Action::Accept(c, x, y))?,
            "receive" => Action::Receive(self.term(rest)?),
            "send" => Action::Send(self.term(rest)?),
            "claim" => Action::Claim(self.fact(rest)?),
            _ => return Err(format!("unknown step {word}")),
        };
        Ok(Step { label, action })
    }

    fn definition(&self, text: &str) -> Result<(String, Definition), String> {
        let (head, body) = text.split_once(" = ").ok_or("write NAME(X, Y) = TERM")?;
        let (name, parameters) = match head.trim().split_once('(') {
            Some((name, rest)) => {
                let parameters = rest.strip_suffix(')').ok_or("a bracket is missing")?;
                (
                    name,
                    parameters
                        .split(',')
                        .map(|name| name.trim().to_owned())
                        .collect(),
                )
            }
            None => (head.trim(), Vec::new()),
        };
        let body = self.term(body)?;
        Ok((name.to_owned(), Definition { parameters, body }))
    }

    fn rule(&self, text: &str) -> Result<Rule, String> {
        let (premises, conclusion) = text.split_once(" gives ").ok_or("write A, B gives C")?;
        Ok(Rule {
            premises: self.terms(premises)?,
            conclusion: self.term(conclusion)?,
        })
    }

    fn given(&self, text: &str) -> Result<Rule, String> {
        Ok(Rule {
            premises: Vec::new(),
            conclusion: self.term(text)?,
        })
    }

    fn fact(&self, text: &str) -> Result<Fact, String> {
        let (name, rest) = text.split_once('(').ok_or("write NAME(TERM, ...)")?;
        let terms = rest
            .trim()
            .strip_suffix(')')
            .ok_or("a bracket is missing")?;
        Ok(Fact {
            name: name.trim().to_owned(),
            terms: self.terms(terms)?,
        })
    }

    fn term(&self, text: &str) -> Result<Term, String> {
        match &mut self.terms(text)?[..] {
            [term] => Ok(std::mem::replace(term, Term::Variable(String::new()))),
            _ => Err(format!("one term is expected: {text}")),
        }
    }

    fn terms(&self, text: &str) -> Result<Vec<Term>, String> {
        let mut rest = text.trim();
        let mut terms = Vec::new();
        loop {
            terms.push(self.next_term(&mut rest)?);
            match rest.strip_prefix(',') {
                Some(more) => rest = more.trim_start(),
                None if rest.is_empty() => return Ok(terms),
                None => return Err(format!("unexpected {rest:?}")),
            }
        }
    }

    fn next_term(&self, rest: &mut &str) -> Result<Term, String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            return Err(format!("a term is expected before {rest:?}"));
        }
        *rest = after.trim_start();
        let mut arguments = Vec::new();
        if let Some(inner) = rest.strip_prefix('(') {
            *rest = inner.trim_start();
            loop {
                arguments.push(self.next_term(rest)?);
                if let Some(more) = rest.strip_prefix(',') {
                    *rest = more.trim_start();
                } else {
                    let more = rest.strip_prefix(')').ok_or("a bracket is missing")?;
                    *rest = more.trim_start();
                    break;
                }
            }
        }
        let arity = match self.definitions.get(name) {
            Some(definition) => Some(definition.parameters.len()),
            None => self.symbols.get(name).copied(),
        };
        match arity {
            None if arguments.is_empty() => Ok(Term::Variable(name.to_owned())),
            // A fresh value in its own role.
            Some(1..) if arguments.is_empty() => Ok(Term::Variable(name.to_owned())),
            Some(arity) if arity == arguments.len() => {
                Ok(Term::Application(name.to_owned(), arguments))
            }
            None => Err(format!("{name} is not declared")),
            Some(arity) => Err(format!("{name} has {arity} arguments")),
        }
    }

    /// Checks that names lead somewhere: a property that is empty and a twin that breaks no property are errors.
    fn check(&self) -> Result<(), String> {
        for property in &self.properties {
            if property.fact.name.is_empty() {
                return Err(format!("property {}: add never or reached", property.name));
            }
        }
        if !self.properties.iter().any(|property| property.is_reached) {
            return Err("add a property with reached: the protocol can be completed".to_owned());
        }
        for twin in &self.twins {
            let mut names = self.properties.iter().map(|property| &property.name);
            if !names.any(|name| *name == twin.breaks) {
                return Err(format!("broken {}: breaks no property", twin.name));
            }
        }
        for property in &self.properties {
            let is_broken = |twin: &Twin| twin.breaks == property.name;
            if !property.is_reached && !self.twins.iter().any(is_broken) {
                return Err(format!("property {}: add a broken twin", property.name));
            }
        }
        Ok(())
    }
}

/// A line of a model that is neither empty nor a comment.
struct Line<'a> {
    number: usize,
    is_indented: bool,
    word: &'a str,
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn new((index, text): (usize, &'a str)) -> Option<Self> {
        let code = text.split('#').next().unwrap_or_default();
        let trimmed = code.trim();
        if trimmed.is_empty() {
            return None;
        }
        let (word, rest) = split_word(trimmed);
        Some(Self {
            number: index + 1,
            is_indented: code.starts_with(' '),
            word,
            rest,
        })
    }
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word, rest.trim())
}
