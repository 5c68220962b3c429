//! Bundles, judgements and reports, mostly as cases.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may stop, read the clock, and asks the environment where it runs"
)]

mod bundles;
mod examples;
mod hostile;
mod judgements;
mod parse_laws;
mod reports;

/// A directory of the workspace.
pub(crate) fn workspace(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Files by name.
type Files = Vec<(String, Vec<u8>)>;

/// The example's policies and tests.
pub(crate) fn example() -> (Files, Files) {
    let mut files: Files = std::fs::read_dir(workspace("examples/deploy-web-001/policies"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files.into_iter().partition(|(name, _)| !writ_policy::is_test_file(name))
}

pub(crate) fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect()
}
