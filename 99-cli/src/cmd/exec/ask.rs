//! Asking for a change: the command as it was typed, and what its tool says that it would change.

use super::{Exec, within};
use crate::Common;
use crate::cmd::Failure;
use crate::exit;
use crate::out::Out;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use writ_core::Digest;
use writ_pipeline::error_chain;
use writ_pipeline::input::{OutsideChange, Says, form, load, read_manifests, read_terraform};
use writ_seal::sha256;

/// The largest file that is looked at, in bytes.
const FILE_MAX: u64 = 256 << 20;

pub(crate) async fn ask(common: &Common, exec: &Exec) -> Result<Value, Failure> {
    let usage = |text: &str| Failure::Other {
        exit: exit::USAGE,
        text: text.to_owned(),
        hint: Some("writ exec -- CMD ARGUMENTS, as in `writ exec -- terraform apply tfplan`".into()),
    };
    let words: Option<Vec<String>> = exec.command.iter().map(|word| word.to_str().map(str::to_owned)).collect();
    let command = words.ok_or_else(|| usage("a word of the command is not UTF-8"))?;
    if command.is_empty() {
        return Err(usage("there is no command"));
    }
    let directory = std::env::current_dir().map_err(|error| Failure::of(exit::FAILED, &error))?;
    let mut body = json!({
        "command": command, "directory": directory.to_string_lossy(), "reason": exec.reason, "here": true,
        "silent_seconds": exec.silent,
    });
    for (field, value) in [("action", &exec.action), ("resource", &exec.resource), ("intent", &exec.intent)] {
        if let Some(value) = value {
            body[field] = json!(value);
        }
    }
    if let Some(said) = form(&command).says.and_then(|says| said(common.out(), &directory, &says)) {
        body["changes"] = json!(said.changes);
        body["files"] = json!(said.files);
    }
    Ok(common.client()?.post("/api/v1/actions", &body).await?)
}

/// What a tool says, and the files that it says it of.
struct Said {
    changes: Vec<OutsideChange>,
    files: BTreeMap<String, Digest>,
}

/// None when nothing is said that can be relied upon: the command is then judged as one that nothing is known of.
fn said(out: Out, directory: &Path, says: &Says) -> Option<Said> {
    let unknown = |because: String| {
        out.say(&format!("warning: what this would change is not known: {because}"));
        out.say("  it is judged as a command that nothing is known of");
    };
    let digests = || -> Result<BTreeMap<String, Digest>, String> {
        let files = says.files().into_iter();
        files.map(|file| Ok((file.to_owned(), digest(&within(directory, file))?))).collect()
    };
    let read = || -> Result<Said, String> {
        let files = digests()?;
        let changes = match says {
            Says::Plan { show, .. } => shown(directory, show)?,
            Says::Manifests { files } => manifests(directory, files)?,
        };
        // What was shown is what has these digests only if nobody wrote to it meanwhile.
        if digests()? == files { Ok(Said { changes, files }) } else { Err("it changes while it is read".into()) }
    };
    read().map_err(unknown).ok()
}

fn digest(path: &Path) -> Result<Digest, String> {
    let told = |error: std::io::Error| format!("`{}`: {error}", path.display());
    let found = std::fs::metadata(path).map_err(told)?;
    if !found.is_file() || found.len() > FILE_MAX {
        return Err(format!("`{}` is no file of at most {FILE_MAX} bytes", path.display()));
    }
    Ok(sha256(&std::fs::read(path).map_err(told)?))
}

fn shown(directory: &Path, show: &[String]) -> Result<Vec<OutsideChange>, String> {
    let (program, arguments) = show.split_first().ok_or("there is nothing that tells it")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("`{}`: {error}", show.join(" ")))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        let first = told.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        return Err(format!("`{}` ended with {}: {first}", show.join(" "), output.status));
    }
    read_terraform(&output.stdout).map_err(|error| error_chain(&error))
}

fn manifests(directory: &Path, files: &[String]) -> Result<Vec<OutsideChange>, String> {
    let mut changes = Vec::new();
    for file in files {
        let first = |problems: Vec<writ_pipeline::input::Problem>| {
            problems.first().map_or_else(|| format!("`{file}` cannot be read"), ToString::to_string)
        };
        let bytes = load(&within(directory, file)).map_err(|problem| problem.to_string())?;
        changes.extend(read_manifests(file, &bytes).map_err(first)?);
    }
    Ok(changes)
}

/// The first file that is another one than was judged.
pub(crate) fn changed(directory: &Path, change: &Value) -> Option<String> {
    let files = change.get("files").and_then(Value::as_object).into_iter().flatten();
    let same = |path: PathBuf, judged: &Value| digest(&path).is_ok_and(|found| json!(found) == *judged);
    files.filter(|(file, judged)| !same(within(directory, file), judged)).map(|(file, _)| file.clone()).next()
}
