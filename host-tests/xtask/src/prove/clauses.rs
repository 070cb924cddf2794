//! The Horn clauses of a model, in the input language of SPASS.
//!
//! The predicate `att` holds for the terms that the attacker knows; every claim of a role is a predicate of its own. A fresh value and
//! the end of a channel are functions of the session, so that the number of sessions is unbounded.

use super::notation::{Action, Definition, Edit, Fact, Model, Role, Rule, Term, Twin};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// The predicate of the attacker's knowledge, and its name in properties.
const KNOWN: (&str, &str) = ("att", "known");
/// The variable that stands for the session of a role.
const SESSION: &str = "session";

impl Model {
    /// Returns the model after the edits of a broken twin.
    ///
    /// # Errors
    /// Returns an error if an edit changes nothing.
    pub(crate) fn broken(&self, twin: &Twin) -> Result<Self, String> {
        let mut model = self.clone();
        for edit in &twin.edits {
            let is_changed = match edit {
                Edit::Drop(label) => model.drop_step(label),
                Edit::Replace(old, new) => model.replace(old, new),
                Edit::Define(name, definition) => model
                    .definitions
                    .insert(name.clone(), definition.clone())
                    .is_some_and(|before| before.body != definition.body),
                Edit::Give(rule) => {
                    model.rules.push(rule.clone());
                    true
                }
            };
            if !is_changed {
                return Err(format!("broken {}: {edit:?} changes nothing", twin.name));
            }
        }
        Ok(model)
    }

    fn drop_step(&mut self, label: &str) -> bool {
        let mut is_changed = false;
        for role in &mut self.roles {
            let before = role.steps.len();
            role.steps
                .retain(|step| step.label.as_deref() != Some(label));
            is_changed |= role.steps.len() != before;
        }
        is_changed
    }

    fn replace(&mut self, old: &Term, new: &Term) -> bool {
        let mut is_changed = false;
        let mut change = |term: &mut Term| is_changed |= term.replace(old, new);
        for step in self.roles.iter_mut().flat_map(|role| &mut role.steps) {
            match &mut step.action {
                Action::Receive(term) | Action::Send(term) => change(term),
                _ => {}
            }
        }
        for definition in self.definitions.values_mut() {
            change(&mut definition.body);
        }
        is_changed
    }

    /// Writes the clauses of the model, and the conjecture that the property's fact can be derived.
    ///
    /// # Errors
    /// Returns an error if a role sends what it does not have.
    pub(crate) fn clauses(&self, fact: &Fact, given: &[Rule]) -> Result<String, String> {
        let mut problem = Problem::default();
        for (name, arity) in &self.symbols {
            problem.functions.insert(name.clone(), *arity);
        }
        let zero = Term::Application("zero".to_owned(), Vec::new());
        problem.functions.insert("zero".to_owned(), 0);
        problem.clause(&[], KNOWN.0, &[zero]);
        for name in &self.public {
            let arity = self.symbols.get(name).copied().unwrap_or_default();
            let arguments: Vec<_> = (0..arity)
                .map(|n| Term::Variable(format!("x{n}")))
                .collect();
            let term = Term::Application(name.clone(), arguments.clone());
            problem.clause(&arguments, KNOWN.0, &[term]);
        }
        for rule in EXPORTERS {
            let (premises, conclusion) = exporter(rule);
            problem.clause(&premises, KNOWN.0, &[conclusion]);
        }
        for rule in self.rules.iter().chain(given) {
            let premises = self.expanded_all(&rule.premises)?;
            let conclusion = self.expanded(&rule.conclusion)?;
            problem.clause(&premises, KNOWN.0, &[conclusion]);
        }
        for role in &self.roles {
            self.role(role, &mut problem)
                .map_err(|error| format!("role {}: {error}", role.name))?;
        }
        let name = if fact.name == KNOWN.1 {
            KNOWN.0
        } else {
            &fact.name
        };
        if !problem.predicates.contains_key(name) {
            return Err(format!("no role claims {name}"));
        }
        let terms = self.expanded_all(&fact.terms)?;
        Ok(problem.text(name, &terms))
    }

    fn role(&self, role: &Role, problem: &mut Problem) -> Result<(), String> {
        let mut premises = vec![Term::Variable(SESSION.to_owned())];
        let mut arguments = Vec::new();
        let mut values: BTreeMap<String, Term> = BTreeMap::new();
        let of_session = |name: &str, arguments: &[Term]| {
            let session = [Term::Variable(SESSION.to_owned())];
            Term::Application(name.to_owned(), [arguments, &session].concat())
        };
        for step in &role.steps {
            match &step.action {
                Action::For(name) => {
                    premises.push(Term::Variable(name.clone()));
                    arguments.push(Term::Variable(name.clone()));
                }
                // In its own role a fresh value is written without its arguments.
                Action::New(name) => {
                    values.insert(name.clone(), of_session(name, &arguments));
                }
                Action::Connect(channel, x, y) | Action::Accept(channel, x, y) => {
                    let (own, peer) = match step.action {
                        Action::Connect(..) => (x, y),
                        _ => (y, x),
                    };
                    let end = of_session(&role.name, &arguments);
                    values.insert(own.clone(), end.clone());
                    let ends = [x, y].map(|name| {
                        let value = values.get(name).cloned();
                        value.unwrap_or_else(|| Term::Variable(name.clone()))
                    });
                    let term = Term::Application("chan".to_owned(), ends.to_vec());
                    values.insert(channel.clone(), term);
                    problem.clause(&premises, KNOWN.0, &[end]);
                    premises.push(Term::Variable(peer.clone()));
                }
                Action::Receive(term) => {
                    premises.push(self.expanded(term)?.with(&values));
                }
                Action::Send(term) => {
                    let term = self.expanded(term)?.with(&values);
                    check_bound(&premises, std::slice::from_ref(&term))?;
                    problem.clause(&premises, KNOWN.0, &[term]);
                }
                Action::Claim(fact) => {
                    let terms = self.expanded_all(&fact.terms)?;
                    let terms: Vec<_> = terms.into_iter().map(|term| term.with(&values)).collect();
                    check_bound(&premises, &terms)?;
                    problem.clause(&premises, &fact.name, &terms);
                }
            }
        }
        Ok(())
    }

    fn expanded_all(&self, terms: &[Term]) -> Result<Vec<Term>, String> {
        terms.iter().map(|term| self.expanded(term)).collect()
    }

    /// Replaces the abbreviations in a term.
    fn expanded(&self, term: &Term) -> Result<Term, String> {
        let Term::Application(name, arguments) = term else {
            return Ok(term.clone());
        };
        let arguments = self.expanded_all(arguments)?;
        let Some(Definition { parameters, body }) = self.definitions.get(name) else {
            return Ok(Term::Application(name.clone(), arguments));
        };
        if parameters.len() != arguments.len() {
            return Err(format!("{name} has {} arguments", parameters.len()));
        }
        let values = parameters.iter().cloned().zip(arguments).collect();
        Ok(self.expanded(body)?.with(&values))
    }
}

/// The positions of the attacker's end in the channels whose exporters he can compute.
const EXPORTERS: [bool; 2] = [true, false];

fn exporter(is_first: bool) -> (Vec<Term>, Term) {
    let [label, mine, other] = ["label", "mine", "other"].map(|x| Term::Variable(x.to_owned()));
    let end = Term::Application("attacker".to_owned(), vec![mine.clone()]);
    let ends = if is_first {
        vec![end, other.clone()]
    } else {
        vec![other.clone(), end]
    };
    let channel = Term::Application("chan".to_owned(), ends);
    let value = Term::Application("ekm".to_owned(), vec![label.clone(), channel]);
    (vec![label, mine, other], value)
}

/// Checks that a role has all variables of what it sends or claims.
fn check_bound(premises: &[Term], terms: &[Term]) -> Result<(), String> {
    let names = |terms: &[Term]| {
        let mut names = BTreeSet::new();
        terms
            .iter()
            .for_each(|term| term.collect_variables(&mut names));
        names
    };
    match names(terms).difference(&names(premises)).next() {
        Some(name) => Err(format!("{name} is neither declared nor received")),
        None => Ok(()),
    }
}

impl Term {
    /// Replaces every occurrence of `old`. Returns whether there was one.
    fn replace(&mut self, old: &Self, new: &Self) -> bool {
        if self == old {
            *self = new.clone();
            return true;
        }
        let Self::Application(_, arguments) = self else {
            return false;
        };
        let mut is_changed = false;
        for argument in arguments {
            is_changed |= argument.replace(old, new);
        }
        is_changed
    }

    /// Puts values in the places of variables.
    fn with(&self, values: &BTreeMap<String, Self>) -> Self {
        match self {
            Self::Variable(name) => values.get(name).unwrap_or(self).clone(),
            Self::Application(name, arguments) => Self::Application(
                name.clone(),
                arguments
                    .iter()
                    .map(|argument| argument.with(values))
                    .collect(),
            ),
        }
    }

    fn collect_variables(&self, names: &mut BTreeSet<String>) {
        match self {
            Self::Variable(name) => drop(names.insert(name.clone())),
            Self::Application(_, arguments) => {
                arguments
                    .iter()
                    .for_each(|term| term.collect_variables(names));
            }
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Variable(name) => {
                let _ = write!(out, "V_{name}");
            }
            Self::Application(name, arguments) => {
                let _ = write!(out, "f_{name}");
                if !arguments.is_empty() {
                    write_arguments(arguments, out);
                }
            }
        }
    }
}

fn write_arguments(terms: &[Term], out: &mut String) {
    for (position, term) in terms.iter().enumerate() {
        out.push(if position == 0 { '(' } else { ',' });
        term.write(out);
    }
    out.push(')');
}

/// A problem for SPASS.
#[derive(Default)]
struct Problem {
    functions: BTreeMap<String, usize>,
    predicates: BTreeMap<String, usize>,
    clauses: String,
}

impl Problem {
    /// Adds the clause that the attacker's knowledge of `premises` leads to a fact.
    fn clause(&mut self, premises: &[Term], predicate: &str, terms: &[Term]) {
        self.predicates.insert(predicate.to_owned(), terms.len());
        let mut literals = Vec::new();
        for premise in premises {
            literals.push(format!(
                "not({})",
                literal(KNOWN.0, std::slice::from_ref(premise))
            ));
        }
        literals.push(literal(predicate, terms));
        let all = [premises, terms].concat();
        write_clause(&literals, &all, &mut self.clauses);
    }

    /// Returns the whole problem: the conjecture is refuted if no terms of this shape can be derived.
    fn text(&self, predicate: &str, terms: &[Term]) -> String {
        let list = |symbols: &BTreeMap<String, usize>, prefix: &str| {
            let entries = symbols
                .iter()
                .map(|(name, arity)| format!("({prefix}{name},{arity})"));
            entries.collect::<Vec<_>>().join(",")
        };
        let mut conjecture = String::new();
        let negated = [format!("not({})", literal(predicate, terms))];
        write_clause(&negated, terms, &mut conjecture);
        format!(
            "begin_problem(model).\n\
             list_of_descriptions.\nname({{*model*}}).\nauthor({{*chanbind*}}).\nstatus(unknown).\ndescription({{*model*}}).\nend_of_list.\n\
             list_of_symbols.\nfunctions[{}].\npredicates[{}].\nend_of_list.\n\
             list_of_clauses(axioms,cnf).\n{}end_of_list.\n\
             list_of_clauses(conjectures,cnf).\n{conjecture}end_of_list.\n\
             end_problem.\n",
            list(&self.functions, "f_"),
            list(&self.predicates, "p_"),
            self.clauses,
        )
    }
}

fn literal(predicate: &str, terms: &[Term]) -> String {
    let mut text = format!("p_{predicate}");
    write_arguments(terms, &mut text);
    text
}

fn write_clause(literals: &[String], terms: &[Term], out: &mut String) {
    let mut names = BTreeSet::new();
    terms
        .iter()
        .for_each(|term| term.collect_variables(&mut names));
    let literals = literals.join(",");
    if names.is_empty() {
        let _ = writeln!(out, "clause(or({literals})).");
    } else {
        let names: Vec<_> = names.iter().map(|name| format!("V_{name}")).collect();
        let _ = writeln!(out, "clause(forall([{}],or({literals}))).", names.join(","));
    }
}
