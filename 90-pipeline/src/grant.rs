//! Where a role holds: everywhere, for one team, in one environment, or for one team in one environment. A role is written alone
//! or with where it holds: `operator`, `operator@team:payments`, `operator@env:prod`, `operator@team:payments/env:prod`. Whoever
//! asks for a role by its plain name finds only what holds everywhere, so a place that knows nothing of scopes refuses.

use crate::approvals::Principal;
use std::fmt;
use std::str::FromStr;
use writ_core::PrincipalId;

/// Whoever holds this role is a program that thinks for itself. It may look, ask and act under policy, and agrees to nothing,
/// whatever else it holds.
pub const AGENT: &str = "agent";

/// Roles that are held everywhere or not at all: everybody who looks sees everything, and what administrators do is of the whole
/// installation.
const WHOLE: [&str; 2] = ["viewer", "admin"];

/// The longest role.
const ROLE_MAX: usize = 64;

/// The longest name of a team or an environment, as manifests have them.
const LABEL_MAX: usize = 63;

/// Whose something is, and where: what a role must hold for. With neither, it is of the whole installation.
#[derive(Debug, Clone, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Scope {
    /// The team: the label `team` of an intent.
    pub team: Option<String>,
    /// The environment: an intent's `target.environment`.
    pub environment: Option<String>,
}

impl Scope {
    /// What nobody's team or environment has alone: policies, people, agents, kill switches.
    #[must_use]
    pub fn whole() -> Self {
        Self::default()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.team, &self.environment) {
            (None, None) => f.write_str("the whole installation"),
            (Some(team), None) => write!(f, "team `{team}`"),
            (None, Some(environment)) => write!(f, "environment `{environment}`"),
            (Some(team), Some(environment)) => write!(f, "team `{team}` in environment `{environment}`"),
        }
    }
}

/// A role, and where it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The role.
    pub role: String,
    /// Where; with neither team nor environment, everywhere.
    pub within: Scope,
}

/// Why a text is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoGrant {
    /// It is not written so.
    #[error(
        "role: write it in small letters, digits and dashes, and where it holds after it, if not everywhere: `operator@team:payments/env:prod`"
    )]
    Form,
    /// The role holds everywhere or not at all.
    #[error("role for a part: `{role}` is held everywhere or not at all")]
    Whole {
        /// The role.
        role: String,
    },
}

impl Grant {
    /// Whether it holds for something.
    #[must_use]
    pub fn covers(&self, thing: &Scope) -> bool {
        let holds = |mine: &Option<String>, its: &Option<String>| mine.is_none() || mine == its;
        holds(&self.within.team, &thing.team) && holds(&self.within.environment, &thing.environment)
    }

    /// What both hold; none when they have nothing in common.
    fn meet(&self, other: &Self) -> Option<Self> {
        fn narrower(one: &Option<String>, other: &Option<String>) -> Option<Option<String>> {
            match (one, other) {
                (Some(one), Some(other)) if one != other => None,
                (Some(part), _) | (None, Some(part)) => Some(Some(part.clone())),
                (None, None) => Some(None),
            }
        }
        (self.role == other.role).then_some(())?;
        let team = narrower(&self.within.team, &other.within.team)?;
        let environment = narrower(&self.within.environment, &other.within.environment)?;
        Some(Self { role: self.role.clone(), within: Scope { team, environment } })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { team, environment } = &self.within;
        f.write_str(&self.role)?;
        match (team, environment) {
            (None, None) => Ok(()),
            (Some(team), None) => write!(f, "@team:{team}"),
            (None, Some(environment)) => write!(f, "@env:{environment}"),
            (Some(team), Some(environment)) => write!(f, "@team:{team}/env:{environment}"),
        }
    }
}

impl FromStr for Grant {
    type Err = NoGrant;

    fn from_str(text: &str) -> Result<Self, NoGrant> {
        let (role, part) = text.split_once('@').map_or((text, None), |(role, part)| (role, Some(part)));
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if role.is_empty() || role.len() > ROLE_MAX || !role.bytes().all(plain) {
            return Err(NoGrant::Form);
        }
        let within = part.map_or(Some(Scope::whole()), scope).ok_or(NoGrant::Form)?;
        if part.is_some() && WHOLE.contains(&role) {
            return Err(NoGrant::Whole { role: role.to_owned() });
        }
        Ok(Self { role: role.to_owned(), within })
    }
}

/// What stands after the `@`.
fn scope(part: &str) -> Option<Scope> {
    // A name has no colon, so the first `/env:` ends the team's.
    let (team, environment) = match (part.strip_prefix("team:"), part.strip_prefix("env:")) {
        (Some(rest), _) => match rest.split_once("/env:") {
            Some((team, environment)) => (Some(team), Some(environment)),
            None => (Some(rest), None),
        },
        (None, environment) => (None, Some(environment?)),
    };
    let label = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        !text.is_empty() && text.len() <= LABEL_MAX && text.chars().all(plain)
    };
    let all = team.iter().chain(&environment).all(|name| label(name));
    all.then(|| Scope { team: team.map(str::to_owned), environment: environment.map(str::to_owned) })
}

/// Whoever may not do something, for want of a role where it would be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{who}` does not hold the role `{role}` for {of}")]
pub struct Barred {
    /// Who.
    pub who: PrincipalId,
    /// The role.
    pub role: String,
    /// Where it would be done.
    pub of: Scope,
}

impl Principal {
    fn grants(&self) -> impl Iterator<Item = Grant> {
        // What cannot be read is of a later version, and holds nowhere.
        self.roles.iter().filter_map(|role| role.parse().ok())
    }

    /// The same person with the roles, by their plain names, that they hold for something.
    #[must_use]
    pub fn within(&self, thing: &Scope) -> Self {
        let mut roles: Vec<String> = Vec::new();
        for grant in self.grants().filter(|grant| grant.covers(thing)) {
            if !roles.contains(&grant.role) {
                roles.push(grant.role);
            }
        }
        Self { id: self.id.clone(), roles }
    }

    /// The roles that they hold somewhere, by their plain names.
    #[must_use]
    pub fn anywhere(&self) -> Vec<String> {
        self.grants().map(|grant| grant.role).collect()
    }

    /// Whether they hold a role for something.
    ///
    /// # Errors
    /// When not.
    pub fn must(&self, role: &str, of: &Scope) -> Result<(), Barred> {
        if self.grants().any(|grant| grant.role == role && grant.covers(of)) {
            return Ok(());
        }
        Err(Barred { who: self.id.clone(), role: role.to_owned(), of: of.clone() })
    }
}

/// What is left of some roles where only others are held: a token may say less than its person holds, and never more.
pub(crate) fn narrow(roles: &[String], held: &[String]) -> Vec<String> {
    let read = |roles: &[String]| roles.iter().filter_map(|role| role.parse().ok()).collect::<Vec<Grant>>();
    let (roles, held) = (read(roles), read(held));
    let mut left = Vec::new();
    for both in roles.iter().flat_map(|role| held.iter().filter_map(|other| role.meet(other))) {
        if !left.contains(&both) {
            left.push(both);
        }
    }
    left.iter().map(ToString::to_string).collect()
}

/// Whether whoever holds these may be given a token for a role.
pub(crate) fn includes(held: &[String], role: &str) -> bool {
    let Ok(role) = role.parse::<Grant>() else { return false };
    let held = held.iter().filter_map(|held| held.parse::<Grant>().ok());
    held.into_iter().any(|held| held.meet(&role).as_ref() == Some(&role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope(team: Option<&str>, environment: Option<&str>) -> Scope {
        Scope { team: team.map(str::to_owned), environment: environment.map(str::to_owned) }
    }

    #[test]
    fn what_is_no_grant_is_refused() {
        for text in [
            "",
            "@",
            "Operator",
            "operator@",
            "operator@team",
            "operator@team:",
            "operator@env:",
            "operator@team:/env:prod",
            "operator@team:a/env:",
            "operator@env:prod/team:a",
            "operator@team:a b",
            "operator@team:a/env:b/env:c",
            "operator@zone:a",
            "operator@team:a@env:b",
            "operator\n@team:a",
            "@team:a",
        ] {
            assert_eq!(text.parse::<Grant>(), Err(NoGrant::Form), "{text}");
        }
        assert_eq!(format!("operator@team:{}", "a".repeat(64)).parse::<Grant>(), Err(NoGrant::Form));
        for role in WHOLE {
            assert_eq!(format!("{role}@env:prod").parse::<Grant>(), Err(NoGrant::Whole { role: role.into() }));
        }
    }

    #[test]
    fn a_role_that_holds_for_a_part_holds_for_nothing_else() {
        let (pay, prod) = (Some("payments"), Some("prod"));
        for (grant, thing, covers) in [
            ("operator", scope(None, None), true),
            ("operator", scope(pay, prod), true),
            ("operator@team:payments", scope(pay, prod), true),
            ("operator@team:payments", scope(pay, None), true),
            ("operator@team:payments", scope(None, prod), false),
            ("operator@team:payments", scope(Some("search"), prod), false),
            ("operator@team:payments", scope(None, None), false),
            ("operator@env:prod", scope(pay, prod), true),
            ("operator@env:prod", scope(pay, Some("staging")), false),
            ("operator@env:prod", scope(None, None), false),
            ("operator@team:payments/env:prod", scope(pay, prod), true),
            ("operator@team:payments/env:prod", scope(pay, Some("staging")), false),
            ("operator@team:payments/env:prod", scope(Some("search"), prod), false),
        ] {
            assert_eq!(grant.parse::<Grant>().unwrap().covers(&thing), covers, "{grant} for {thing}");
        }
    }

    #[test]
    fn a_token_holds_no_more_than_its_person() {
        let texts = |roles: &[&str]| roles.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>();
        for (token, held, left) in [
            (&["operator"][..], &["operator@team:a"][..], &["operator@team:a"][..]),
            (&["operator@team:a"], &["operator"], &["operator@team:a"]),
            (&["operator@team:a"], &["operator@env:b"], &["operator@team:a/env:b"]),
            (&["operator@team:a"], &["operator@team:b"], &[]),
            (&["operator", "viewer"], &["viewer"], &["viewer"]),
            (&["operator@zone:a", "viewer"], &["operator", "viewer"], &["viewer"]),
        ] {
            assert_eq!(narrow(&texts(token), &texts(held)), texts(left), "{token:?} of {held:?}");
        }
        assert!(includes(&texts(&["operator"]), "operator@team:a"));
        assert!(!includes(&texts(&["operator@team:a"]), "operator"));
        assert!(!includes(&texts(&["operator@team:a"]), "operator@env:b"));
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        let name = || proptest::option::of(prop_oneof![Just("a".to_owned()), Just("b/c".to_owned())]);
        (name(), name()).prop_map(|(team, environment)| Scope { team, environment })
    }

    proptest! {
        #[test]
        fn a_grant_is_read_as_it_is_written(within in any_scope()) {
            let grant = Grant { role: "operator".into(), within };
            prop_assert_eq!(grant.to_string().parse::<Grant>(), Ok(grant));
        }

        #[test]
        fn what_two_grants_have_in_common_covers_what_both_cover(one in any_scope(), other in any_scope(), thing in any_scope()) {
            let grant = |within| Grant { role: "operator".into(), within };
            let (one, other) = (grant(one), grant(other));
            let both = one.meet(&other).is_some_and(|both| both.covers(&thing));
            prop_assert_eq!(both, one.covers(&thing) && other.covers(&thing));
        }
    }
}
