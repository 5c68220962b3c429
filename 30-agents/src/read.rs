//! The agents file: the source's `agent_deployment:` document, in which every further key is optional.

use crate::agent::{
    Agent, AgentState, CONTRACT_BYTES_MAX, ContractUse, Limits, PERMISSIONS_MAX, USES_MAX, is_kind, is_version,
};
use crate::permission::permission;
use std::collections::BTreeMap;
use writ_core::{AgentId, Permission, Place};
use writ_text::{Fields, Node, Problem, Problems};

/// An agent as a file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSpec {
    /// Where it stands.
    pub at: Place,
    /// Its id.
    pub id: AgentId,
    /// What sort of agent it is.
    pub kind: String,
    /// How much it may do.
    pub limits: Limits,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// Contracts it provides.
    pub provides: Vec<ContractUse>,
    /// Its public key, where the file names one; agents in the same process get theirs when they are enrolled.
    pub public_key: Option<String>,
    /// Contracts it requires.
    pub requires: Vec<ContractUse>,
    /// Its version.
    pub version: String,
}

impl AgentSpec {
    /// The agent that goes with a key.
    #[must_use]
    pub fn with_key(&self, public_key: &str) -> Agent {
        Agent {
            id: self.id.clone(),
            kind: self.kind.clone(),
            limits: self.limits,
            permissions: self.permissions.clone(),
            provides: self.provides.clone(),
            public_key: public_key.to_owned(),
            requires: self.requires.clone(),
            state: AgentState::Enrolled,
            version: self.version.clone(),
        }
    }
}

/// The agents that a document describes.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn read_agents(node: &Node) -> Result<Vec<AgentSpec>, Vec<Problem>> {
    let problems = Problems::new();
    let agents = document(node, &problems);
    problems.result(agents)
}

fn document(node: &Node, problems: &Problems) -> Option<Vec<AgentSpec>> {
    let mut top = node.fields("the agents file", problems)?;
    let deployment = top.need("agent_deployment");
    top.done();
    let mut inner = deployment?.fields("`agent_deployment`", problems)?;
    let nodes = inner.items("agents");
    inner.done();
    let nodes = nodes?;
    if nodes.is_empty() {
        problems.say(&deployment?.at, "`agents` names no agent");
    }
    let agents: Vec<AgentSpec> = nodes.iter().filter_map(|node| agent(node, problems)).collect();
    let mut seen: BTreeMap<&AgentId, &Place> = BTreeMap::new();
    for spec in &agents {
        if let Some(first) = seen.insert(&spec.id, &spec.at) {
            problems.push(Problem::new(spec.at.clone(), format!("agent `{}` stands twice, first at {first}", spec.id)));
        }
    }
    Some(agents)
}

fn agent(node: &Node, problems: &Problems) -> Option<AgentSpec> {
    let mut fields = node.fields("the agent", problems)?;
    let id = fields.text("agent_id").and_then(|text| said(&fields, "agent_id", text.parse::<AgentId>()));
    let kind = fields.text("type").and_then(|text| {
        let wrong = || format!("`{text}` is no type of an agent; write it in up to 64 bytes that can be seen");
        said(&fields, "type", is_kind(text).then(|| text.to_owned()).ok_or_else(wrong))
    });
    let version = fields.text("version").and_then(|text| {
        let wrong = || format!("`{text}` is not a version; write it as `1.5.0`, in up to 64 bytes");
        said(&fields, "version", is_version(text).then(|| text.to_owned()).ok_or_else(wrong))
    });
    let permissions = permissions(&mut fields);
    let public_key = fields
        .maybe_text("public_key")
        .and_then(|text| said(&fields, "public_key", writ_seal::public_key_from_hex(text)).map(|_| text.to_owned()));
    let limits = limits(&mut fields);
    let requires = uses(&mut fields, "requires", problems);
    let provides = uses(&mut fields, "provides", problems);
    fields.done();
    Some(AgentSpec {
        at: node.place(),
        id: id?,
        kind: kind?,
        limits: limits?,
        permissions: permissions?,
        provides,
        public_key,
        requires,
        version: version?,
    })
}

fn permissions(fields: &mut Fields<'_>) -> Option<Vec<Permission>> {
    let problems = fields.problems();
    let items = fields.items("permissions")?;
    if items.len() > PERMISSIONS_MAX {
        let count = items.len();
        fields.say(
            "permissions",
            format!("{count} permissions; {PERMISSIONS_MAX} is the most, for policies look at no more"),
        );
        return None;
    }
    let mut granted: Vec<Permission> = Vec::new();
    for item in items {
        let Some(text) = item.text(problems) else { continue };
        match permission(text) {
            Ok(held) if granted.contains(&held) => problems.say(&item.at, format!("permission `{text}` stands twice")),
            Ok(held) => granted.push(held),
            Err(error) => problems.say(&item.at, error.to_string()),
        }
    }
    Some(granted)
}

fn limits(fields: &mut Fields<'_>) -> Option<Limits> {
    let Some(node) = fields.maybe("limits") else { return Some(Limits::default()) };
    let mut inner = node.fields("`limits`", fields.problems())?;
    let mut count = |key: &'static str, default: u32| {
        let given = inner.maybe_int(key, 1..=i64::from(u32::MAX));
        given.and_then(|given| u32::try_from(given).ok()).unwrap_or(default)
    };
    let plain = Limits::default();
    let limits = Limits {
        resources_per_hour: count("resources_per_hour", plain.resources_per_hour),
        tickets_at_once: count("tickets_at_once", plain.tickets_at_once),
        tickets_per_minute: count("tickets_per_minute", plain.tickets_per_minute),
    };
    inner.done();
    Some(limits)
}

/// `{contract: contract.monitoring.v1, version: ^1.0.0}`: a range where it is required, a version where it is provided.
fn uses(fields: &mut Fields<'_>, key: &'static str, problems: &Problems) -> Vec<ContractUse> {
    let read = |node: &Node| {
        let mut inner = node.fields("the contract", problems)?;
        let contract = inner.text("contract").and_then(|text| {
            let wrong = format!("the name has {} bytes, and {CONTRACT_BYTES_MAX} is the most", text.len());
            let short = text.len() <= CONTRACT_BYTES_MAX;
            said(&inner, "contract", short.then_some(()).ok_or(wrong)).map(|()| text.to_owned())
        });
        let version = inner.text("version").and_then(|text| {
            let sound = text.len() <= CONTRACT_BYTES_MAX
                && if key == "requires" {
                    semver::VersionReq::parse(text).is_ok()
                } else {
                    semver::Version::parse(text).is_ok()
                };
            let (sort, example) = if key == "requires" { ("range", "^1.0.0") } else { ("version", "1.0.0") };
            let wrong = format!("`{text}` is not a {sort}; write it as `{example}`");
            said(&inner, "version", sound.then_some(()).ok_or(wrong)).map(|()| text.to_owned())
        });
        inner.done();
        Some(ContractUse { contract: contract?, version: version? })
    };
    let items = fields.maybe_items(key);
    if items.len() > USES_MAX {
        fields.say(key, format!("`{key}` names {} contracts; {USES_MAX} is the most", items.len()));
        return Vec::new();
    }
    items.iter().filter_map(read).collect()
}

/// The value, or its error as a problem with the key.
fn said<T, E: std::fmt::Display>(fields: &Fields<'_>, key: &str, parsed: Result<T, E>) -> Option<T> {
    parsed.map_err(|error| fields.say(key, error.to_string())).ok()
}
