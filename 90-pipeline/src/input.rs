//! Readers of the files people write, for faces: the layers' own, gathered so that a face imports the pipeline alone.

use std::path::Path;

pub use writ_agents::AgentSpec;
pub use writ_automation::{ArgumentProblem, BindError, Playbook, read_playbook};
pub use writ_contracts::{
    Contract, Needs, Record as ContractRecord, Registry, comparison, matrix, read_contract, read_needs,
};
pub use writ_intent::{
    DeclaredCommand, Manifest, OutsideChange, Platform, Says, form, manifest_schema, money_about, percent_about,
    platform_schema, read_manifest, read_manifests, read_platform, read_terraform,
};
pub use writ_policy::{Bundle, Demand, Trial, TrialReport, is_test_file, run_tests, run_tests_while};
pub use writ_text::{Problem, listed, render, to_yaml, typed, uri, visible, xml};

/// Reads an agents file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_agents(file: &str, bytes: &[u8]) -> Result<Vec<AgentSpec>, Vec<Problem>> {
    let node = writ_text::read(file, bytes, &writ_text::Limits::default())?;
    writ_agents::read_agents(&node)
}

/// Reads the file of declared commands. What healing does is not what a command can be called.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_commands(file: &str, bytes: &[u8]) -> Result<Vec<DeclaredCommand>, Vec<Problem>> {
    let commands = writ_intent::read_commands(file, bytes)?;
    let reserved = commands.iter().filter(|one| writ_self_healing::RemedyAction::named(&one.id).is_some());
    let at = || writ_core::Place { file: file.to_owned(), line: 1, column: 1 };
    let told = |one: &DeclaredCommand| {
        Problem::new(at(), format!("`{}` is what writ itself does; a declared command has another name", one.id))
    };
    let problems: Vec<Problem> = reserved.map(told).collect();
    if problems.is_empty() { Ok(commands) } else { Err(problems) }
}

/// Reads a file that a person named, within the bounds of what a document may be.
///
/// # Errors
/// When it is missing, no plain file, or too large.
pub fn load(path: &Path) -> Result<Vec<u8>, Problem> {
    writ_text::load(path, &writ_text::Limits::default())
}
