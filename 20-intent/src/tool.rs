//! What is known of the commands of others: which tool one is of, and what that tool says that it would change.
//!
//! It is taken over by address, kind and sort of change alone. The values stay where they are: they are often secret, and
//! what is attached to the journal stays.

use crate::outside::listed;
use serde::{Deserialize, Serialize};
use writ_text::{Limits, Problem};

/// A command as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What its action is called when nobody calls it otherwise.
    pub action: &'static str,
    /// The tool: `terraform`, `kubectl`, or `command` for any other.
    pub tool: &'static str,
    /// What says what it would change; none when nothing does.
    pub says: Option<Says>,
}

/// What says what a command would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// A plan file, told by the tool itself.
    Plan {
        /// The file, as seen from the command's directory.
        file: String,
        /// The command that tells it as JSON.
        show: Vec<String>,
    },
    /// Manifests.
    Manifests {
        /// Their files, as seen from the command's directory.
        files: Vec<String>,
    },
}

impl Says {
    /// The files that it stands in.
    #[must_use]
    pub fn files(&self) -> Vec<&str> {
        match self {
            Says::Plan { file, .. } => vec![file],
            Says::Manifests { files } => files.iter().map(String::as_str).collect(),
        }
    }
}

/// What is known of a command. Only what is known to the last flag counts as a tool's plan: a flag that is not, like
/// `--prune`, may do what the plan does not say.
#[must_use]
pub fn form(command: &[String]) -> Form {
    let plain = Form { action: "command", tool: "command", says: None };
    let Some((program, arguments)) = command.split_first() else { return plain };
    match program.rsplit('/').next().unwrap_or_default() {
        "terraform" | "tofu" if applies(arguments) => {
            Form { action: "terraform_apply", tool: "terraform", says: planned(program, arguments) }
        }
        "kubectl" if applies(arguments) => {
            Form { action: "kubectl_apply", tool: "kubectl", says: manifests(arguments) }
        }
        _ => plain,
    }
}

fn applies(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| argument == "apply")
}

fn planned(program: &str, arguments: &[String]) -> Option<Says> {
    const KNOWN: [&str; 8] = [
        "-auto-approve",
        "-compact-warnings",
        "-input",
        "-json",
        "-lock",
        "-lock-timeout",
        "-no-color",
        "-parallelism",
    ];
    let (dir, rest) = match arguments.split_first()? {
        (first, rest) if first.starts_with("-chdir=") => (Some(first), rest),
        _ => (None, arguments),
    };
    let (first, rest) = rest.split_first()?;
    let (flags, files): (Vec<&String>, Vec<&String>) = rest.iter().partition(|one| one.starts_with('-'));
    let known = |flag: &&String| KNOWN.contains(&flag.split('=').next().unwrap_or_default());
    let [file] = files.as_slice() else { return None };
    if first != "apply" || !flags.iter().all(known) {
        return None;
    }
    let mut show = vec![program.to_owned()];
    show.extend(dir.cloned());
    show.extend(["show", "-json", file.as_str()].map(str::to_owned));
    let below = dir.map(|dir| dir.trim_start_matches("-chdir=").trim_end_matches('/'));
    let file = match below {
        Some(below) if !file.starts_with('/') => format!("{below}/{file}"),
        Some(_) | None => (*file).clone(),
    };
    Some(Says::Plan { file, show })
}

fn manifests(arguments: &[String]) -> Option<Says> {
    const ALONE: [&str; 4] = ["--server-side", "--validate", "--wait", "--record"];
    const WITH: [&str; 8] =
        ["-n", "--namespace", "--context", "--kubeconfig", "--field-manager", "--timeout", "-o", "--output"];
    let (mut files, mut verbs) = (Vec::new(), 0);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        match name {
            "-f" | "--filename" => files.push(value.or_else(|| rest.next().cloned())?),
            "apply" if value.is_none() => verbs += 1,
            _ if ALONE.contains(&name) => {}
            _ if WITH.contains(&name) => drop(value.or_else(|| rest.next().cloned())?),
            _ => return None,
        }
    }
    let plain = |file: &String| file != "-" && !file.contains("://") && !file.is_empty() && !file.contains(',');
    (verbs == 1 && !files.is_empty() && files.iter().all(plain)).then_some(Says::Manifests { files })
}

/// What is done to one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsideDeed {
    /// It is made, or brought to what is wanted: the manifest does not say which.
    Apply,
    /// It is made.
    Create,
    /// It is taken away.
    Delete,
    /// It is taken away and made anew.
    Replace,
    /// It is changed where it is.
    Update,
}

/// One thing that a plan would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideChange {
    /// What it is called: `aws_instance.web`, `default/Deployment/web`.
    pub address: String,
    /// What is done to it.
    pub deed: OutsideDeed,
    /// What sort of thing it is: `aws_instance`, `Deployment`.
    pub kind: String,
}

/// Why a tool's plan says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no such document.
    #[error("it is not what `terraform show -json` prints: {because}")]
    Json {
        /// What is wrong with it.
        because: String,
    },
    /// It is of a format that is not known here.
    #[error("it is of format `{found}`, and `1.x` is what is read here")]
    Format {
        /// What it says.
        found: String,
    },
    /// The plan is not all of what would be done.
    #[error("the plan is not whole: {because}")]
    Partial {
        /// Why not.
        because: &'static str,
    },
    /// Something would be done that is not known here.
    #[error("the plan says {} of `{address}`, which is not known here", listed(.actions))]
    Deed {
        /// What it would be done to.
        address: String,
        /// What would be done.
        actions: Vec<String>,
    },
}

#[derive(Deserialize)]
struct Shown {
    format_version: String,
    #[serde(default)]
    errored: bool,
    #[serde(default)]
    deferred_changes: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    resource_changes: Vec<ShownChange>,
}

#[derive(Deserialize)]
struct ShownChange {
    address: String,
    #[serde(rename = "type")]
    kind: String,
    change: ShownActions,
}

#[derive(Deserialize)]
struct ShownActions {
    actions: Vec<String>,
}

/// What a plan would change, from what `terraform show -json` prints.
///
/// # Errors
/// When it is not that, or says something that is not known here: nothing is guessed.
pub fn read_terraform(bytes: &[u8]) -> Result<Vec<OutsideChange>, Unreadable> {
    let shown: Shown =
        serde_json::from_slice(bytes).map_err(|error| Unreadable::Json { because: error.to_string() })?;
    if shown.format_version.split('.').next() != Some("1") {
        return Err(Unreadable::Format { found: shown.format_version });
    }
    if shown.errored || !shown.deferred_changes.is_empty() {
        let because = if shown.errored { "planning failed" } else { "some changes were deferred" };
        return Err(Unreadable::Partial { because });
    }
    let mut changes = Vec::new();
    for one in shown.resource_changes {
        let actions: Vec<&str> = one.change.actions.iter().map(String::as_str).collect();
        let deed = match actions.as_slice() {
            ["no-op" | "read"] => continue,
            ["create"] => OutsideDeed::Create,
            ["update"] => OutsideDeed::Update,
            ["delete"] => OutsideDeed::Delete,
            ["delete", "create"] | ["create", "delete"] => OutsideDeed::Replace,
            _ => return Err(Unreadable::Deed { address: one.address, actions: one.change.actions }),
        };
        changes.push(OutsideChange { address: one.address, deed, kind: one.kind });
    }
    Ok(changes)
}

/// What manifests would change: each object of them is applied.
///
/// # Errors
/// Everything that is wrong with them, with its place.
pub fn read_manifests(file: &str, bytes: &[u8]) -> Result<Vec<OutsideChange>, Vec<Problem>> {
    let (mut changes, mut problems) = (Vec::new(), Vec::new());
    for document in writ_text::read_all(file, bytes, &Limits::default())? {
        if document.is_null() {
            continue;
        }
        let items = document.get("items").filter(|_| text_at(&document, "kind") == Some("List"));
        let objects = match items.map(|items| &items.value) {
            Some(writ_text::Value::List(items)) => items.iter().collect(),
            Some(_) | None => vec![&document],
        };
        for object in objects {
            let name = object.pointer("/metadata/name").and_then(text_of);
            match (text_at(object, "kind"), name) {
                (Some(kind), Some(name)) => {
                    let space = object.pointer("/metadata/namespace").and_then(text_of);
                    let place = space.map_or_else(String::new, |space| format!("{space}/"));
                    let address = format!("{place}{kind}/{name}");
                    changes.push(OutsideChange { address, deed: OutsideDeed::Apply, kind: kind.to_owned() });
                }
                _ => problems.push(
                    Problem::new(object.place(), "this object has no `kind`, or no `metadata.name`")
                        .hint("give both, so that it can be said what is changed"),
                ),
            }
        }
    }
    if problems.is_empty() { Ok(changes) } else { Err(problems) }
}

fn text_at<'a>(node: &'a writ_text::Node, key: &str) -> Option<&'a str> {
    node.get(key).and_then(text_of)
}

fn text_of(node: &writ_text::Node) -> Option<&str> {
    if let writ_text::Value::Text { value, .. } = &node.value { Some(value) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn only_what_is_known_to_the_last_flag_is_a_tools_plan() {
        for (line, action, files) in [
            ("terraform apply tfplan", "terraform_apply", &["tfplan"][..]),
            ("/usr/bin/terraform -chdir=infra/ apply -input=false tfplan", "terraform_apply", &["infra/tfplan"]),
            ("tofu apply -auto-approve /tmp/p", "terraform_apply", &["/tmp/p"]),
            ("terraform apply", "terraform_apply", &[]),
            ("terraform apply -destroy tfplan", "terraform_apply", &[]),
            ("terraform apply a b", "terraform_apply", &[]),
            ("terraform plan", "command", &[]),
            ("kubectl apply -f a.yaml -f b.yaml", "kubectl_apply", &["a.yaml", "b.yaml"]),
            ("kubectl -n web apply --filename=a.yaml --server-side", "kubectl_apply", &["a.yaml"]),
            ("kubectl apply --prune -f a.yaml", "kubectl_apply", &[]),
            ("kubectl apply --force -f a.yaml", "kubectl_apply", &[]),
            ("kubectl apply -f -", "kubectl_apply", &[]),
            ("kubectl apply -f https://example.org/a.yaml", "kubectl_apply", &[]),
            ("kubectl apply -f", "kubectl_apply", &[]),
            ("kubectl delete -f a.yaml", "command", &[]),
            ("sh -c apply", "command", &[]),
        ] {
            let form = form(&words(line));
            let found: Vec<String> =
                form.says.iter().flat_map(|says| says.files()).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!((form.action, found), (action, files.iter().map(|file| (*file).to_owned()).collect()), "{line}");
        }
        let Some(Says::Plan { show, .. }) = form(&words("tofu -chdir=infra apply p")).says else { unreachable!() };
        assert_eq!(show, words("tofu -chdir=infra show -json p"));
    }

    #[test]
    fn a_plan_that_is_not_understood_says_nothing() {
        for (text, told) in [
            ("{}", "format_version"),
            (r#"{"format_version": "2.0"}"#, "of format `2.0`"),
            (r#"{"format_version": "1.0", "errored": true}"#, "planning failed"),
            (r#"{"format_version": "1.0", "deferred_changes": [{}]}"#, "deferred"),
            (
                r#"{"format_version": "1.0", "resource_changes": [{"address": "a", "type": "t", "change": {"actions": ["forget"]}}]}"#,
                "not known here",
            ),
        ] {
            assert!(read_terraform(text.as_bytes()).unwrap_err().to_string().contains(told), "{text}");
        }
    }

    #[test]
    fn manifests_say_what_they_apply_and_nothing_of_their_values() {
        let text = "kind: Deployment\nmetadata: {name: web, namespace: shop}\n---\n\
                    kind: List\nitems:\n- {kind: Secret, metadata: {name: s}, data: {a: aHVudGVy}}\n---\n";
        let changes = read_manifests("a.yaml", text.as_bytes()).unwrap();
        let addresses: Vec<&str> = changes.iter().map(|change| change.address.as_str()).collect();
        assert_eq!(addresses, ["shop/Deployment/web", "Secret/s"]);
        let refused = read_manifests("a.yaml", b"kind: Pod\n").unwrap_err();
        assert!(refused[0].to_string().contains("a.yaml:1"), "{}", refused[0]);
        assert!(read_manifests("a.yaml", b"a: [").is_err());
    }
}
