//! Reading a directory of files into a setup: platform, policies, contracts, playbooks, agents, commands.
//!
//! ```text
//! platform.yaml            what the organisation provides
//! agents.yaml              agents and their permissions
//! commands.yaml            commands that are declared
//! policies/*.yaml          bundles of rules; files that hold tests are their tests
//! contracts/*.yaml         contracts; requirements.yaml says who needs which
//! playbooks/*.yaml         playbooks
//! ```
//! Every part but policies may be missing; what is missing has its default.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use writ_pipeline::input::{self, AgentSpec, Bundle, DeclaredCommand, Needs, Platform, Playbook, Problem, Registry};

/// What a directory says.
#[derive(Debug, Clone)]
pub struct Files {
    /// Agents.
    pub agents: Vec<AgentSpec>,
    /// Declared commands.
    pub commands: Vec<DeclaredCommand>,
    /// Policies.
    pub bundle: Arc<Bundle>,
    /// The files they stand in.
    pub policy_files: Vec<(String, Vec<u8>)>,
    /// Tests of policies.
    pub policy_tests: Vec<(String, Vec<u8>)>,
    /// Who needs which contract.
    pub needs: Needs,
    /// The platform.
    pub platform: Platform,
    /// Playbooks, by name and version.
    pub playbooks: Vec<Playbook>,
    /// Contracts.
    pub registry: Registry,
}

/// Reads a directory.
///
/// # Errors
/// Everything that is wrong with its files, each with its place.
pub fn read_files(dir: &Path) -> Result<Files, Vec<Problem>> {
    let mut problems = Vec::new();
    let platform = sound(one(dir, "platform.yaml", input::read_platform), &mut problems);
    let agents = sound(one(dir, "agents.yaml", input::read_agents), &mut problems);
    let commands = sound(one(dir, "commands.yaml", input::read_commands), &mut problems);
    let files = sound(all(&dir.join("policies")), &mut problems);
    let (policy_tests, policy_files): (Vec<Named>, Vec<Named>) =
        files.into_iter().partition(|(name, _)| input::is_test_file(name));
    let named: Vec<(&str, &[u8])> =
        policy_files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let bundle = sound(Bundle::load(&named).map(Some), &mut problems);
    let (mut contracts, mut needs) = (Vec::new(), Needs::default());
    for (name, bytes) in sound(all(&dir.join("contracts")), &mut problems) {
        if name.ends_with("requirements.yaml") {
            needs = sound(input::read_needs(&name, &bytes), &mut problems);
        } else {
            contracts.extend(sound(input::read_contract(&name, &bytes).map(Some), &mut problems));
        }
    }
    let registry = Registry::of(contracts).map_err(|refused| {
        let at = |message: String| Problem::new(place(&dir.join("contracts").display().to_string()), message);
        refused.iter().map(|refused| at(refused.to_string())).collect()
    });
    let registry = sound(registry, &mut problems);
    let playbooks = sound(read_playbooks(dir), &mut problems);
    match bundle {
        Some(bundle) if problems.is_empty() => {
            let bundle = Arc::new(bundle);
            Ok(Files { agents, bundle, commands, policy_files, policy_tests, needs, platform, playbooks, registry })
        }
        _ => Err(problems),
    }
}

/// What was read; nothing of it where it is unsound, and then what is wrong with it.
fn sound<T: Default>(read: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> T {
    read.unwrap_or_else(|found| {
        problems.extend(found);
        T::default()
    })
}

/// Reads the playbooks of a directory.
///
/// # Errors
/// Everything that is wrong with its files, each with its place.
fn read_playbooks(dir: &Path) -> Result<Vec<Playbook>, Vec<Problem>> {
    let (mut playbooks, mut problems): (Vec<Playbook>, Vec<Problem>) = (Vec::new(), Vec::new());
    for (name, bytes) in all(&dir.join("playbooks"))? {
        match input::read_playbook(&name, &bytes) {
            Ok(playbook) => {
                if playbooks.iter().any(|one| one.id == playbook.id && one.version == playbook.version) {
                    let message = format!("there is another `{}` {}", playbook.id, playbook.version);
                    problems.push(Problem::new(place(&name), message).hint("give it a version of its own"));
                }
                playbooks.push(playbook);
            }
            Err(found) => problems.extend(found),
        }
    }
    playbooks.sort_by(|one, other| (&one.id, &one.version).cmp(&(&other.id, &other.version)));
    if problems.is_empty() { Ok(playbooks) } else { Err(problems) }
}

fn place(file: &str) -> writ_core::Place {
    writ_core::Place { file: file.to_owned(), line: 1, column: 1 }
}

type Named = (String, Vec<u8>);

/// What one file says; the default when it is not there.
fn one<T: Default>(
    dir: &Path,
    name: &str,
    says: impl Fn(&str, &[u8]) -> Result<T, Vec<Problem>>,
) -> Result<T, Vec<Problem>> {
    let path = dir.join(name);
    if !path.exists() {
        return Ok(T::default());
    }
    let (name, bytes) = read(&path)?;
    says(&name, &bytes)
}

fn read(path: &Path) -> Result<Named, Vec<Problem>> {
    let bytes = input::load(path).map_err(|problem| vec![problem])?;
    Ok((path.display().to_string(), bytes))
}

/// All YAML and JSON files of a directory and its `tests`, by name.
fn all(dir: &Path) -> Result<Vec<Named>, Vec<Problem>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for dir in [dir.to_owned(), dir.join("tests")] {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        paths.extend(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_document(path)));
    }
    paths.sort();
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        match read(&path) {
            Ok(file) => files.push(file),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

fn is_document(path: &Path) -> bool {
    let known = path.extension().and_then(|end| end.to_str()).is_some_and(|end| matches!(end, "yaml" | "yml" | "json"));
    known && path.is_file()
}
