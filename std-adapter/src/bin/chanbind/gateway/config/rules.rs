//! The rules of a configuration.

use axum::http::uri::Authority;
use chanbind::gateway::{Audience, Policy, Requirement, all_of, any_of};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The proofs that one path needs.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RuleEntry {
    path: String,
    #[serde(default)]
    pub(super) host: Option<String>,
    #[serde(default)]
    any: Option<Vec<String>>,
    #[serde(default)]
    all: Option<Vec<String>>,
    /// The subjects that are admitted; with `groups` both are.
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    exempt: bool,
    #[serde(default)]
    optional: bool,
}

impl RuleEntry {
    /// Returns a rule for everything.
    pub(super) fn everything(needs: &str) -> Self {
        Self {
            path: "/".to_owned(),
            any: Some(vec![needs.to_owned()]),
            ..Self::default()
        }
    }

    fn among(&self, requirement: Requirement) -> Requirement {
        if self.subjects.is_empty() && self.groups.is_empty() {
            return requirement;
        }
        requirement.among(Audience {
            subjects: self.subjects.clone(),
            groups: self.groups.clone(),
        })
    }

    fn check_host(&self) -> Result<(), String> {
        let Some(host) = &self.host else {
            return Ok(());
        };
        let is_host = |authority: Authority| authority.host() == host;
        if host.parse().is_ok_and(is_host) {
            return Ok(());
        }
        Err(format!(
            "{host:?} is not a host: write a DNS name or an IP address, without a port"
        ))
    }

    pub(super) fn apply(
        &self,
        policy: Policy,
        known: &BTreeMap<String, Requirement>,
    ) -> Result<Policy, String> {
        let path = &self.path;
        if !path.starts_with('/') {
            return Err(format!("the path {path:?} does not begin with /"));
        }
        self.check_host()?;
        if policy.has_rule(path) {
            return Err(format!("another rule for {path} stands before this one"));
        }
        let find = |names: &[String]| -> Result<Vec<Requirement>, String> {
            if names.is_empty() {
                return Err(format!("the rule for {path} names no proof"));
            }
            let found = names.iter().map(|name| {
                known.get(name).cloned().ok_or_else(|| {
                    let known: Vec<_> = known.keys().map(String::as_str).collect();
                    format!(
                        "the rule for {path} names the unknown proof {name:?}: the sections [proof] define {}",
                        known.join(", ")
                    )
                })
            });
            found.collect()
        };
        let requirement = match (&self.any, &self.all, self.exempt) {
            (Some(names), None, false) => any_of(find(names)?),
            (None, Some(names), false) => all_of(find(names)?),
            (None, None, true)
                if !self.optional && self.subjects.is_empty() && self.groups.is_empty() =>
            {
                return Ok(policy.exempt(path));
            }
            _ => {
                return Err(format!(
                    "the rule for {path} must have one of any = [...], all = [...] and exempt = true"
                ));
            }
        };
        let requirement = self.among(requirement);
        Ok(if self.optional {
            policy.optional(path, requirement)
        } else {
            policy.require(path, requirement)
        })
    }
}
