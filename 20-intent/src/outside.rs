//! A change that somebody else planned: a command that can be judged, what rules may read of it, and its plan of one step.

use crate::command::DeclaredCommand;
use crate::graph::{action_id, is_own};
use crate::tool::{OutsideChange, OutsideDeed, Says, form};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use writ_core::{Action, Change, Digest, EffectClass, IntentId, Permission, Plan, RetryRule, Step, StepKey};

/// The verb of a step that is carried out by whoever asked for it.
pub const OUTSIDE_VERB: &str = "outside.command";

/// The permission that an agent needs for it.
pub const OUTSIDE_PERMISSION: &str = "execute:outside";

/// The intent of a change that serves none.
pub const NO_INTENT: &str = "exec";

/// The most arguments of a command, the program included.
const ARGUMENTS_MAX: usize = 128;

/// The most bytes of one of them.
const ARGUMENT_BYTES_MAX: usize = 1_024;

/// The most bytes of all of them, as an entry holds them.
const COMMAND_BYTES_MAX: usize = 16 << 10;

/// The most bytes of what a list tells rules, as an entry holds it.
const LIST_BYTES_MAX: usize = 8 << 10;

/// The most changes of one plan.
const CHANGES_MAX: usize = 10_000;

/// The most addresses and kinds that rules are told of; where there are more, there is no list.
const LISTED_MAX: usize = 256;

/// How long a command may run.
const TIMEOUT_MS: u64 = 24 * 3_600 * 1_000;

/// Why a command cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutsideRefused {
    /// There is none.
    #[error("there is no command")]
    Nothing,
    /// It has more arguments than can be judged.
    #[error("the command has {found} words, and {ARGUMENTS_MAX} can be judged")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// One of them is longer than can be judged.
    #[error("word {at} of the command has {bytes} bytes, and {ARGUMENT_BYTES_MAX} can be judged")]
    TooLong {
        /// Which, from 0.
        at: usize,
        /// Its length.
        bytes: usize,
    },
    /// All of them together are.
    #[error("the command has {bytes} bytes, and {COMMAND_BYTES_MAX} can be judged")]
    TooLarge {
        /// Their length.
        bytes: usize,
    },
    /// One of them holds what no argument can.
    #[error("word {at} of the command holds a NUL byte, or is an empty program")]
    Unsound {
        /// Which, from 0.
        at: usize,
    },
    /// The action's name is no name.
    #[error("`{name}` is no name for an action: use 1 to 64 lower-case letters, digits and `_`, a letter first")]
    Name {
        /// What was given.
        name: String,
    },
    /// The action's name is one of writ's own.
    #[error("`{name}` is what writ itself does; a rule that allows that must not allow this")]
    Reserved {
        /// What was given.
        name: String,
    },
    /// The action's name is that of a declared command, and this is another one.
    #[error("`{name}` is a declared command, and what is asked for does not fit its declaration")]
    Unfit {
        /// The name.
        name: String,
    },
    /// The resource's name is no name.
    #[error("`{name}` is no name for a resource: use 1 to 64 letters, digits and any of `. _ - / : @`")]
    Resource {
        /// What was given.
        name: String,
    },
    /// The directory, or a file's path, is longer than can be kept.
    #[error("the path of {bytes} bytes is longer than 4096")]
    Path {
        /// Its length.
        bytes: usize,
    },
    /// It is said what the command would change, and it is none that says so.
    #[error("nothing says what this command would change, so that nobody can")]
    Unfounded,
    /// The files that say what the command would change are not the ones that it names.
    #[error("the command reads {}, and the digests are of {}", listed(.wanted), listed(.found))]
    Files {
        /// What it reads.
        wanted: Vec<String>,
        /// What was given.
        found: Vec<String>,
    },
    /// There are more changes than can be kept.
    #[error("the plan has {found} changes, and {CHANGES_MAX} can be judged")]
    Changes {
        /// How many.
        found: usize,
    },
}

/// A command that somebody asks for, as it was given.
#[derive(Debug, Clone, Default)]
pub struct OutsideWish {
    /// What its action is called; none for what it is called by itself.
    pub action: Option<String>,
    /// What it would change, where something says so.
    pub changes: Option<Vec<OutsideChange>>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where it runs.
    pub directory: String,
    /// Digests of the files that say what it would change, by their names in the command.
    pub files: BTreeMap<String, Digest>,
    /// The intent that it serves.
    pub intent: Option<IntentId>,
    /// What it is done to; none for what it is called by itself.
    pub resource: Option<String>,
}

/// A command that can be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    action: String,
    changes: Option<Vec<OutsideChange>>,
    class: EffectClass,
    command: Vec<String>,
    declared: Option<String>,
    directory: String,
    files: BTreeMap<String, Digest>,
    intent: Option<IntentId>,
    resource: String,
    tool: &'static str,
}

impl Outside {
    /// What was asked for, if it can be judged; as the first of the declared commands that it fits.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn new(wish: OutsideWish, commands: &[DeclaredCommand]) -> Result<Self, OutsideRefused> {
        check_command(&wish.command)?;
        let known = form(&wish.command);
        let named = wish.action.map(action_name).transpose()?;
        let fitting =
            |one: &&DeclaredCommand| one.fits(&wish.command) && named.as_ref().is_none_or(|name| *name == one.id);
        let declared = commands.iter().find(fitting).or_else(|| commands.iter().find(|one| one.fits(&wish.command)));
        if let Some(name) = named.as_ref().filter(|name| declared.is_none_or(|one| one.id != **name))
            && commands.iter().any(|one| one.id == *name)
        {
            return Err(OutsideRefused::Unfit { name: name.clone() });
        }
        let action = named.unwrap_or_else(|| declared.map_or(known.action, |one| &one.id).to_owned());
        let class = if declared.is_some_and(|one| one.repeatable) { EffectClass::Keyed } else { EffectClass::Opaque };
        let program = wish.command.first().and_then(|program| program.rsplit('/').next()).unwrap_or_default();
        let tame = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let resource = match wish.resource {
            Some(name) => resource_name(name)?,
            None => format!("exec/{}", program.chars().take(50).map(tame).collect::<String>()),
        };
        let long = wish.files.keys().chain([&wish.directory]).find(|path| path.len() > 4_096);
        if let Some(path) = long {
            return Err(OutsideRefused::Path { bytes: path.len() });
        }
        check_changes(wish.changes.as_deref(), &wish.files, known.says.as_ref())?;
        let (changes, command, directory, files) = (wish.changes, wish.command, wish.directory, wish.files);
        let (declared, intent) = (declared.map(|one| one.id.clone()), wish.intent);
        let tool = known.tool;
        Ok(Self { action, changes, class, command, declared, directory, files, intent, resource, tool })
    }

    /// What its action is called.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// What it is done to.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The intent that it serves.
    #[must_use]
    pub fn intent(&self) -> Option<&IntentId> {
        self.intent.as_ref()
    }

    /// What it would change, as a document; none when nothing says so.
    #[must_use]
    pub fn changes(&self) -> Option<Value> {
        self.changes.as_ref().map(|changes| json!(changes))
    }

    /// What rules may read of it.
    #[must_use]
    pub fn facts(&self) -> Value {
        let program = self.command.first().map(String::as_str).unwrap_or_default();
        let mut facts = json!({
            "arguments": self.command.get(1..).unwrap_or_default(), "directory": self.directory,
            "program": program, "tool": self.tool,
        });
        if let Some(declared) = &self.declared {
            facts["declared"] = json!(declared);
        }
        let Some(changes) = &self.changes else { return facts };
        let count = |deed| changes.iter().filter(|change| change.deed == deed).count();
        facts["planned"] = json!({
            "applies": count(OutsideDeed::Apply), "creates": count(OutsideDeed::Create),
            "deletes": count(OutsideDeed::Delete), "replaces": count(OutsideDeed::Replace),
            "updates": count(OutsideDeed::Update),
        });
        let addresses: BTreeSet<&str> = changes.iter().map(|change| change.address.as_str()).collect();
        let kinds: BTreeSet<&str> = changes.iter().map(|change| change.kind.as_str()).collect();
        for (name, listed) in [("resources", addresses), ("kinds", kinds)] {
            let fits = listed.len() <= LISTED_MAX && listed.iter().all(|word| word.len() <= 256);
            let listed = json!(listed);
            if fits && listed.to_string().len() <= LIST_BYTES_MAX {
                facts["planned"][name] = listed;
            }
        }
        facts
    }

    /// The plan that carries it out: one step, at most once unless it is declared that it may be repeated. `version` and `digest` are those of the intent that it serves.
    #[must_use]
    pub fn plan(&self, version: u64, digest: Digest, world: Digest) -> Plan {
        let params = json!({
            "changes": self.changes().map(|changes| crate::digest(&changes)), "command": self.command,
            "directory": self.directory, "files": self.files,
        });
        #[expect(
            clippy::expect_used,
            reason = "the name given is an id, and so is an action's id with a word behind it"
        )]
        let intent = self.intent.clone().unwrap_or_else(|| NO_INTENT.parse().expect("an id"));
        let action = action_id(intent.as_str(), &self.action, &self.resource);
        #[expect(clippy::expect_used, reason = "an action's id with a word behind it is a key")]
        let key: StepKey = format!("{action}/command").parse().expect("a key");
        let permission = Permission(OUTSIDE_PERMISSION.to_owned());
        let phase = "outside".to_owned();
        let step = Step {
            action: action.clone(),
            action_name: self.action.clone(),
            class: self.class,
            key,
            needs: Vec::new(),
            params: params.clone(),
            permission: permission.clone(),
            phase: phase.clone(),
            resource: self.resource.clone(),
            // What was begun is not tried again; what nobody came for is.
            retry: RetryRule { attempts: 10, ..RetryRule::default() },
            timeout_ms: TIMEOUT_MS,
            undo: None,
            verb: OUTSIDE_VERB.to_owned(),
        };
        let action = Action {
            action: self.action.clone(),
            change: Change::Update { paths: Vec::new() },
            config: params,
            id: action,
            inverse: String::new(),
            needs: Vec::new(),
            permission,
            phase,
        };
        let (intent_digest, intent_version) = (digest, version);
        Plan { actions: vec![action], intent, intent_digest, intent_version, steps: vec![step], world }
    }
}

/// Names as people read them.
pub(crate) fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => writ_text::listed(names),
    }
}

fn check_command(command: &[String]) -> Result<(), OutsideRefused> {
    if command.is_empty() {
        return Err(OutsideRefused::Nothing);
    }
    if command.len() > ARGUMENTS_MAX {
        return Err(OutsideRefused::TooMany { found: command.len() });
    }
    for (at, word) in command.iter().enumerate() {
        if word.contains('\0') || (at == 0 && word.trim().is_empty()) {
            return Err(OutsideRefused::Unsound { at });
        }
        // A program's name is a word that rules compare.
        let most = if at == 0 { 256 } else { ARGUMENT_BYTES_MAX };
        if word.len() > most {
            return Err(OutsideRefused::TooLong { at, bytes: word.len() });
        }
    }
    let bytes = json!(command).to_string().len();
    if bytes > COMMAND_BYTES_MAX { Err(OutsideRefused::TooLarge { bytes }) } else { Ok(()) }
}

pub(crate) fn action_name(name: String) -> Result<String, OutsideRefused> {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let named = name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(sound);
    if !named {
        return Err(OutsideRefused::Name { name: name.chars().take(80).collect() });
    }
    if is_own(&name) || name.starts_with("undo_") {
        return Err(OutsideRefused::Reserved { name });
    }
    Ok(name)
}

fn resource_name(name: String) -> Result<String, OutsideRefused> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(sound) {
        return Err(OutsideRefused::Resource { name: name.chars().take(80).collect() });
    }
    Ok(name)
}

fn check_changes(
    changes: Option<&[OutsideChange]>,
    files: &BTreeMap<String, Digest>,
    says: Option<&Says>,
) -> Result<(), OutsideRefused> {
    let Some(changes) = changes else { return Ok(()) };
    let says = says.ok_or(OutsideRefused::Unfounded)?;
    if changes.len() > CHANGES_MAX {
        return Err(OutsideRefused::Changes { found: changes.len() });
    }
    let wanted: BTreeSet<&str> = says.files().into_iter().collect();
    let found: BTreeSet<&str> = files.keys().map(String::as_str).collect();
    if wanted == found {
        return Ok(());
    }
    let told = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
    Err(OutsideRefused::Files { wanted: told(wanted), found: told(found) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::read_terraform;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn wish(line: &str) -> OutsideWish {
        OutsideWish { command: words(line), directory: "/srv".into(), ..OutsideWish::default() }
    }

    #[test]
    fn a_terraform_plan_is_taken_over_without_its_values() {
        let change = |address: &str, actions: &[&str]| {
            json!({"address": address, "type": "aws_instance", "mode": "managed",
                   "change": {"actions": actions, "before": null, "after": {"password": "hunter2", "size": 1.5}}})
        };
        let shown = json!({"format_version": "1.2", "resource_changes": [
            change("aws_instance.a", &["create"]), change("aws_instance.b", &["no-op"]),
            change("aws_instance.c", &["delete", "create"]), change("aws_instance.d", &["delete"]),
            change("aws_instance.e", &["update"]), change("data.x", &["read"]),
        ]});
        let changes = read_terraform(shown.to_string().as_bytes()).unwrap();
        assert!(!json!(changes).to_string().contains("hunter2"));
        let files = BTreeMap::from([("tfplan".to_owned(), Digest([1; 32]))]);
        let asked = OutsideWish { changes: Some(changes), files, ..wish("terraform apply tfplan") };
        let outside = Outside::new(asked, &[]).unwrap();
        let planned = json!({
            "applies": 0, "creates": 1, "deletes": 1, "replaces": 1, "updates": 1, "kinds": ["aws_instance"],
            "resources": ["aws_instance.a", "aws_instance.c", "aws_instance.d", "aws_instance.e"],
        });
        assert_eq!(outside.facts()["planned"], planned);
        assert_eq!((outside.action(), outside.resource()), ("terraform_apply", "exec/terraform"));
        let plan = outside.plan(0, Digest([0; 32]), Digest([0; 32]));
        assert_eq!((plan.check(), plan.steps[0].class), (Ok(()), EffectClass::Opaque));
    }

    #[test]
    fn what_cannot_be_judged_is_refused_by_name() {
        let refused = |wish| Outside::new(wish, &[]).unwrap_err();
        assert_eq!(refused(OutsideWish::default()), OutsideRefused::Nothing);
        let many = OutsideWish { command: vec!["a".into(); 10_000], ..OutsideWish::default() };
        assert_eq!(refused(many), OutsideRefused::TooMany { found: 10_000 });
        assert_eq!(refused(wish("a b\0c")), OutsideRefused::Unsound { at: 1 });
        assert_eq!(refused(wish(" ")), OutsideRefused::Unsound { at: 0 });
        let long = "x".repeat(2_000);
        assert_eq!(refused(wish(&format!("a {long}"))), OutsideRefused::TooLong { at: 1, bytes: 2_000 });
        let wide = OutsideWish { command: vec!["\u{1}".repeat(100); 100], ..OutsideWish::default() };
        assert!(matches!(refused(wide), OutsideRefused::TooLarge { bytes: 60_000.. }));
        for name in ["", "Deploy", "1a", "a b", "deploy\n"] {
            let named = OutsideWish { action: Some(name.into()), ..wish("a") };
            assert_eq!(refused(named), OutsideRefused::Name { name: name.into() });
        }
        for name in ["deploy_instances", "destroy_instances", "undo_anything"] {
            let named = OutsideWish { action: Some(name.into()), ..wish("a") };
            assert_eq!(refused(named), OutsideRefused::Reserved { name: name.into() });
        }
        let claimed = OutsideWish { changes: Some(Vec::new()), ..wish("rm -rf /") };
        assert_eq!(refused(claimed), OutsideRefused::Unfounded);
        let other = OutsideWish { changes: Some(Vec::new()), ..wish("terraform apply tfplan") };
        let files = OutsideRefused::Files { wanted: vec!["tfplan".into()], found: vec![] };
        assert_eq!(files.to_string(), "the command reads `tfplan`, and the digests are of nothing");
        assert_eq!(refused(other), files);
    }

    #[test]
    fn a_declared_command_has_its_name_for_itself_and_may_be_one_that_can_be_repeated() {
        let text =
            "commands: [{ id: look, command: [df, '*'], repeatable: true }, { id: look_here, command: [df, .] }]";
        let commands = crate::read_commands("commands.yaml", text.as_bytes()).unwrap();
        let told = |action: Option<&str>, line: &str| {
            let asked = OutsideWish { action: action.map(str::to_owned), ..wish(line) };
            Outside::new(asked, &commands).map(|one| {
                let class = one.plan(0, Digest([0; 32]), Digest([0; 32])).steps[0].class;
                (one.action().to_owned(), one.facts()["declared"].as_str().map(str::to_owned), class)
            })
        };
        let look = Some("look".to_owned());
        assert_eq!(told(None, "df /"), Ok(("look".into(), look.clone(), EffectClass::Keyed)));
        assert_eq!(told(None, "df ."), Ok(("look".into(), look.clone(), EffectClass::Keyed)), "the first that fits");
        let here = Ok(("look_here".into(), Some("look_here".into()), EffectClass::Opaque));
        assert_eq!(told(Some("look_here"), "df ."), here);
        assert_eq!(told(Some("other"), "df /"), Ok(("other".into(), look, EffectClass::Keyed)));
        assert_eq!(told(None, "rm /"), Ok(("command".into(), None, EffectClass::Opaque)));
        assert_eq!(told(Some("look"), "rm /"), Err(OutsideRefused::Unfit { name: "look".into() }));
        assert_eq!(told(Some("look_here"), "df /"), Err(OutsideRefused::Unfit { name: "look_here".into() }));
    }

    #[test]
    fn more_things_than_rules_can_be_told_of_are_counted_and_not_listed() {
        let change = |at| OutsideChange { address: format!("a.{at}"), deed: OutsideDeed::Delete, kind: "a".to_owned() };
        let files = BTreeMap::from([("p".to_owned(), Digest([1; 32]))]);
        let asked = OutsideWish { changes: Some((0..300).map(change).collect()), files, ..wish("terraform apply p") };
        let planned = Outside::new(asked, &[]).unwrap().facts()["planned"].clone();
        assert_eq!((&planned["deletes"], planned.get("resources")), (&json!(300), None));
    }
}
